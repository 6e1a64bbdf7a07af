"""CPU suppress: best-effort work gets what services leave of the CPUs, by cpuset or by CFS quota (`cpuSuppressPolicy`).

Each tick: budget (budget.py) → a number of CPUs, or a quota → which CPUs (cpu_choice.py). The limits are koordlet's: two CPUs or 2000 µs at
least; per tick at most a tenth of the node more.

koordlet follows every move of the usage, and its users see cpusets that change each second. Here

    a dead band    what best-effort work has stays while the budget has not left it by half a CPU or a hundredth of the node, whichever is
                   more; for quotas by a hundredth of the node, as koordlet
    slow growth    it only gets more when the budget has been larger for HOLD_S. Less it gets at once, for services wait meanwhile

So best-effort work may have up to 1.5 CPUs more than its budget (koordlet: up to 1), on nodes of up to 50 CPUs. While the usage of the
node or its CPUs are unknown, everything stays. None: nothing is restricted, and what was is given back.
"""

from __future__ import annotations

from collections import deque

from koordnri.control.budget import Budget
from koordnri.control.cpu_choice import choose, usable
from koordnri.control.signals import Signals
from koordnri.model import CPUSet, NodeState
from koordnri.model.control import Wanted
from koordnri.model.convert import CFS_PERIOD_US
from koordnri.policy import Policy

HOLD_S = 2.0
"""Least time that the budget must have been larger before best-effort work gets more."""
LEAST_CPUS = 2
LEAST_QUOTA_US = 2000
_GROWTH = 10
"""Per tick it gets at most this part of the node more: one tenth."""
_SMALL = 100
"""Changes of a quota by less than this part of the node are not made: one hundredth."""
UNLIMITED_US = -1

Wishes = tuple[Wanted | None, Wanted | None]


class CPUSuppress:
    """The controller. `step` is called by one thread, once per tick."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._recent: deque[tuple[float, int]] = deque()
        """(time, budget in 1/1000 CPU) of the last HOLD_S and a tick"""
        self._cpus: CPUSet | None = None
        self._quota_us = UNLIMITED_US

    def step(self, signals: Signals, policy: Policy, node: NodeState, ceiling_milli: int | None = None) -> Wishes:
        """(be_cpus, be_quota_us): one of them at most is wanted, by `cpuSuppressPolicy`.

        ceiling_milli   of the budget (be_ceiling.py); None: there is none
        """
        threshold = policy.threshold
        if not threshold.enable or policy.controllers.cpu_suppress.mode == "off":
            self._forget()
            return None, None
        if (budget_milli := self._budget.milli(signals, policy, ceiling_milli)) is not None:
            self._step(signals, policy, node, budget_milli)
        reason = f"CPU suppress: what services leave of {threshold.cpu_suppress_threshold_percent} % of the node's CPUs"
        cpus = None if self._cpus is None else Wanted(self._cpus, reason)
        quota = None if self._quota_us == UNLIMITED_US else Wanted(self._quota_us, reason)
        return cpus, quota

    def _step(self, signals: Signals, policy: Policy, node: NodeState, budget_milli: int) -> None:
        held_milli = self._held(signals.at_s, budget_milli)
        if policy.threshold.cpu_suppress_policy == "cfsQuota":
            self._cpus = None
            self._quota_us = next_quota_us(budget_milli, held_milli, self._quota_us, len(signals.cpus))
            return
        self._quota_us = UNLIMITED_US
        parts = usable(signals, policy, node)
        everything = parts.all
        have = everything if self._cpus is None else self._cpus & everything
        count = next_count(budget_milli, held_milli, len(have), len(signals.cpus))
        if node.topology is None or count >= len(everything):
            self._cpus = None
        else:
            self._cpus = choose(node.topology, count, parts, self._cpus)

    def _held(self, now_s: float, budget_milli: int) -> int:
        """The least budget since HOLD_S."""
        recent = self._recent
        recent.append((now_s, budget_milli))
        while recent[0][0] < now_s - HOLD_S:
            recent.popleft()
        return min(milli for _, milli in recent)

    def _forget(self) -> None:
        self._cpus, self._quota_us = None, UNLIMITED_US


def next_count(budget_milli: int, held_milli: int, have: int, node_cpus: int) -> int:
    """How many CPUs best-effort work gets, where it has `have`.

    budget_milli   what it may use now, 1/1000 CPU
    held_milli     the least that it might have used in the last seconds
    """
    band_milli = max(500, node_cpus * 1000 // _SMALL)
    if budget_milli <= (have - 1) * 1000 - band_milli:
        return max(_cpus(budget_milli), LEAST_CPUS)
    if held_milli > have * 1000 + band_milli:
        return max(min(_cpus(held_milli), have + -(-node_cpus // _GROWTH)), LEAST_CPUS)
    return max(have, LEAST_CPUS)


def next_quota_us(budget_milli: int, held_milli: int, have_us: int, node_cpus: int) -> int:
    """The quota (µs per 100 ms) that best-effort work gets, where it has `have_us` (-1: none); for the rest see `next_count`."""
    node_us = node_cpus * CFS_PERIOD_US
    least_us, most_us = (max(milli * CFS_PERIOD_US // 1000, LEAST_QUOTA_US) for milli in (held_milli, budget_milli))
    if have_us == UNLIMITED_US:
        return most_us
    wanted_us = most_us if most_us < have_us else max(least_us, have_us)
    if abs(wanted_us - have_us) < node_us // _SMALL and wanted_us != LEAST_QUOTA_US:
        return have_us
    return min(wanted_us, have_us + node_us // _GROWTH)


def _cpus(milli: int) -> int:
    return -(-milli // 1000)
