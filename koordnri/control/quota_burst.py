"""Quota burst: a container that its CFS quota holds back gets more, while the node has CPU to spare.

Once per tick, for pods of LS, SYSTEM and without a class, under the policies auto and cfsQuotaBurstOnly (`cpu-burst-config`, with the
annotation `koordinator.sh/cpuBurst` over it; an unreadable one changes nothing):

    throttled since the tick before   the quota × 1.2, up to cfsQuotaBurstPercent of the limit
    limiter used up (limiter.py)      the quota × 0.8, down to the limit
    node overloaded (share_pool.py)   the quota × 0.8, whatever the container does
    node cooling, or unknown          no more than it has
    quiet                             the quota × 0.8
    policy says no                    the limit, at once

That is koordlet's, with two differences. **Quiet**: a container that was not throttled and used less than its limit for QUIET_S gives
back what it got; in koordlet it keeps that until the node is overloaded. **Step**: at most a tenth of the node per tick, which is rubik's
bound of one hundredth in 100 ms; koordlet has none. How far a quota goes is for the policy alone, whose cfsQuotaBurstPercent is 300 by
default; rubik's bound of twice the quota does not apply.

No quota is wanted for a container that has its limit: then the hooks decide as without quota burst.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from koordnri.control.limiter import MOST_AT_FIRST, BurstLimiter
from koordnri.control.share_pool import NodeLoad, SharePool
from koordnri.control.signals import ContainerSignals, Signals
from koordnri.model import AnnotationError, NodeState, Pod, QoSClass
from koordnri.model.control import Wanted
from koordnri.model.convert import CFS_PERIOD_US, milli_to_quota_us
from koordnri.policy import Policy
from koordnri.policy.burst import CPUBurst

QUIET_S = 20.0
"""So long a container must have needed no more than its limit before it gives back what it got."""
_NEVER = (QoSClass.LSR, QoSClass.LSE, QoSClass.BE)
_ENABLED = ("auto", "cfsQuotaBurstOnly")
_STEP = 10
"""Per tick a quota grows by at most this part of the node: one tenth."""


class Move(StrEnum):
    """What becomes of a quota at this tick."""

    UP = "up"
    REMAIN = "remain"
    DOWN = "down"


class QuotaBurst:
    """The controller. `step` is called by one thread, once per tick. `random` gives numbers from 0 to below 1."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._share_pool = SharePool()
        self._containers: dict[str, _Container] = {}

    def step(self, signals: Signals, policy: Policy, node: NodeState) -> Mapping[str, Wanted]:
        """Id of each container that gets more than its limit → its quota, µs per 100 ms."""
        load = self._share_pool.load(signals, policy.burst.share_pool_threshold_percent)
        known: dict[str, _Container] = {}
        wanted: dict[str, Wanted] = {}
        for pod in signals.pods.values():
            burst = _burst_of(pod.pod, policy, node)
            if burst is None:
                continue
            for container in pod.containers:
                base_us = milli_to_quota_us(container.cpu_limit_milli or 0)
                if base_us <= 0:
                    continue
                state = self._containers.get(container.id)
                if state is None or state.base_us != base_us:
                    state = _Container(base_us, signals.at_s)
                known[container.id] = state
                quota_us = state.step(container, signals, burst, load, self._random)
                if quota_us > base_us:
                    reason = f"quota burst: was throttled; up to {burst.cfs_quota_burst_percent} % of the limit"
                    wanted[container.id] = Wanted(quota_us, reason)
        self._containers = known  # those that have gone are forgotten
        return wanted


class _Container:
    """What is remembered of one container."""

    __slots__ = ("_busy_s", "_limiter", "_quota_us", "base_us")

    def __init__(self, base_us: int, at_s: float) -> None:
        self.base_us = base_us
        self._quota_us = base_us
        self._busy_s = at_s
        """when it was throttled, or used its limit, for the last time"""
        self._limiter: BurstLimiter | None = None

    def step(
        self,
        container: ContainerSignals,
        signals: Signals,
        burst: CPUBurst,
        load: NodeLoad,
        random: Callable[[], float],
    ) -> int:
        """Its quota from now on, µs."""
        throttled = (container.load.throttled_ratio or 0.0) > 0
        if not throttled and self._quota_us == self.base_us and burst.cfs_quota_burst_period_seconds < 0:
            return self.base_us  # a shortcut for most containers: there is nothing to move, and no limiter to count for
        used = container.load.used_cores
        percent = None if used is None else used * CFS_PERIOD_US * 100 / self.base_us
        if throttled or percent is None or percent >= 100:
            self._busy_s = signals.at_s
        move = move_of(throttled, self._allowed(burst, percent, signals.at_s, random), load)
        if move is Move.REMAIN and signals.at_s - self._busy_s >= QUIET_S:
            move = Move.DOWN
        moved_us = next_quota_us(move, self._quota_us, self.base_us, burst)
        self._quota_us = min(moved_us, self._quota_us + len(signals.cpus) * CFS_PERIOD_US // _STEP)
        return self._quota_us

    def _allowed(self, burst: CPUBurst, percent: float | None, at_s: float, random: Callable[[], float]) -> bool:
        period_s = burst.cfs_quota_burst_period_seconds
        if period_s < 0:
            self._limiter = None
            return True
        capacity = float(period_s * max(burst.cfs_quota_burst_percent - 100, 0))
        if self._limiter is None or self._limiter.capacity != capacity:
            self._limiter = BurstLimiter(capacity, random() * MOST_AT_FIRST, at_s)
        return self._limiter.tokens > 0 if percent is None else self._limiter.allows(percent, at_s)


def move_of(throttled: bool, allowed: bool, load: NodeLoad) -> Move:
    """What becomes of a container's quota where the policy enables quota burst. allowed: by its limiter."""
    if not allowed or load is NodeLoad.OVERLOAD:
        return Move.DOWN
    return Move.UP if throttled and load is NodeLoad.IDLE else Move.REMAIN


def next_quota_us(move: Move, quota_us: int, base_us: int, burst: CPUBurst) -> int:
    """The quota after the move, between that of the limit (`base_us`) and cfsQuotaBurstPercent of it."""
    most_us = base_us * max(burst.cfs_quota_burst_percent, 100) // 100
    if move is not Move.REMAIN:
        quota_us = quota_us * (12 if move is Move.UP else 8) // 10
    return min(max(quota_us, base_us), most_us)


def _burst_of(pod: Pod, policy: Policy, node: NodeState) -> CPUBurst | None:
    """The pod's CPU burst; None when its containers keep their limits."""
    if policy.controllers.quota_burst.mode == "off" or pod.qos in _NEVER:
        return None
    if pod.namespace in policy.namespaces_left_alone or (node.released and node.has_released(pod)):
        return None
    try:
        burst = policy.cpu_burst(pod)
    except AnnotationError:  # the hook cfs_quota reports it; the node's value applies
        burst = policy.burst
    return burst if burst.policy in _ENABLED else None
