"""Conversion between Kubernetes' milli-cores and the kernel's shares, quota and weight.

Sources: kubelet's cm/helpers_linux.go (constants), koordlet's util/system (rounding), cgroup-v2 documentation (weight range).
"""

from __future__ import annotations

CFS_PERIOD_US = 100_000
MIN_QUOTA_US = 1_000
"""The kernel refuses a smaller quota (koordinator issue 696)."""
SHARES_PER_CPU = 1024
MIN_SHARES = 2
MAX_SHARES = 262_144


def milli_to_shares(milli: int) -> int:
    """cpu.shares for so many milli-cores, in 2..262144; 2 for none."""
    if milli <= 0:
        return MIN_SHARES
    return min(max(milli * SHARES_PER_CPU // 1000, MIN_SHARES), MAX_SHARES)


def milli_to_quota_us(milli: int, period_us: int = CFS_PERIOD_US) -> int:
    """CFS quota in µs per period for so many milli-cores, at least 1000; -1 (unlimited) for none."""
    if milli <= 0:
        return -1
    return max(milli * period_us // 1000, MIN_QUOTA_US)


def shares_to_weight(shares: int) -> int:
    """cgroup v2 cpu.weight of cpu.shares, as runc before 1.3.2 and koordlet compute it. Raises ValueError outside 2..262144."""
    if not MIN_SHARES <= shares <= MAX_SHARES:
        raise ValueError(f"cpu.shares: expected {MIN_SHARES}..{MAX_SHARES}, got {shares}")
    return 1 + (shares - 2) * 9999 // 262_142
