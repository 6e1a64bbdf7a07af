"""Lowers memory.high of best-effort containers step by step while memory is short, and raises it again when that is over.

Memory is short when less than `availablePercent` of it is available, or when work other than best-effort stalls on memory for
`pressurePercent` of the time. The node's pressure includes containers that stall at a bound of their own, such as one that we lowered:
their pressure is taken off, or our own steps would look like a shortage that lasts. The shortage is over RELEASE_PERCENT above the first
bound and below half of the second; in between nothing moves.

A best-effort container begins with the ceiling HEADROOM_PERCENT above what it uses. Every STEP_S it is asked for STEP_PERCENT less than it
uses, down to the highest of half of what it began with, its share of the pod's memory request, and LEAST_BYTES. What it uses includes file
pages that the kernel drops first, so the first steps cost it nothing. The ceiling rises above what it uses and is held there for HOLD_S
when the last step had no effect (its memory cannot be reclaimed), and when it suffers: it stalls for `stallPercent` of the time or reads
back what was reclaimed. When the shortage is over, the ceiling rises by STEP_PERCENT of the beginning every STEP_S, and is then removed.

The hook `memory` keeps the result above the container's own request, memory.min and memory.low.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from koordnri.control.signals import ContainerSignals, PodSignals, Signals
from koordnri.model.control import Wanted
from koordnri.model.priority import CRITICAL
from koordnri.model.qos import QoSClass
from koordnri.policy.controllers import MemoryHighOptions

STEP_S = 5.0
STEP_PERCENT = 5
HEADROOM_PERCENT = 5
"""More than the writer's own margin above what is in use: koordnri.host.cgroup.in_use."""
HOLD_S = 60.0
LEAST_BYTES = 64 << 20
"""Below this, a container has too little to be worth a step."""
RELEASE_PERCENT = 2
"""Percent of the node's memory above `availablePercent` from which the shortage is over."""
_PAGE_BYTES = 4096
_REFAULTED_SHARE = 0.01
"""A container suffers when it reads back this share of its working set per second."""
_NEAR_LIMIT = 0.9
_REACHED = 1.02
"""The ceiling is reached when the container uses less than this many times it."""
_PROGRESS = 0.99
"""A step had an effect when the container uses less than this part of what it used before it."""

SHORT = "the node is short of memory"
OVER = "the node was short of memory; undone step by step"


@dataclass(slots=True)
class _Stairs:
    """Where one container stands."""

    began_bytes: int
    floor_bytes: int
    high_bytes: int
    moved_s: float
    """when the ceiling moved last"""
    used_bytes: int
    """what the container used then"""
    held_until_s: float = 0.0

    def move(self, high_bytes: int, used_bytes: int, now_s: float) -> None:
        self.high_bytes = max(high_bytes, self.floor_bytes)
        self.used_bytes, self.moved_s = used_bytes, now_s

    def hold(self, used_bytes: int, now_s: float) -> None:
        """Give it room again, and leave it there for a while."""
        self.move(_percent(used_bytes, 100 + HEADROOM_PERCENT), used_bytes, now_s)
        self.held_until_s = now_s + HOLD_S


class MemoryStaircase:
    """Remembers a few numbers per container that it has lowered."""

    def __init__(self) -> None:
        self.short = False
        """whether memory is short; once it is, until it is clearly over"""
        self._stairs: dict[str, _Stairs] = {}

    def step(self, signals: Signals, options: MemoryHighOptions) -> Mapping[str, Wanted]:
        """Container id → what memory.high is to be at most; to be called once per tick. Containers that are gone are forgotten."""
        calm = self._judge(signals, options)
        stairs = {}
        for pod, container in best_effort_containers(signals):
            one = self._stairs.get(container.id)
            if one is None:
                one = _beginning(pod, container, signals.at_s) if self.short else None
            elif not self._move(one, container, signals.at_s, calm, options):
                one = None
            if one is not None:
                stairs[container.id] = one
        self._stairs = stairs
        reason = SHORT if self.short else OVER
        return {id_: Wanted(one.high_bytes, reason) for id_, one in stairs.items()}

    def _judge(self, signals: Signals, options: MemoryHighOptions) -> bool:
        """Set `short`. Returns whether memory is neither short by the bounds nor clearly over them, so that nothing moves."""
        available = available_percent(signals)
        pressure = pressure_without(signals, lambda pod: is_best_effort(pod) or at_own_bound(pod))
        bound, stalling = options.available_percent, options.pressure_percent
        low = available is not None and available < bound
        high = bool(stalling) and pressure is not None and pressure >= stalling
        if low or high:
            self.short = True
            return False
        if available is not None and available < min(bound + RELEASE_PERCENT, 100) and bound:
            return True
        if stalling and pressure is not None and pressure > stalling / 2:
            return True
        self.short = False
        return False

    def _move(
        self, one: _Stairs, container: ContainerSignals, now_s: float, calm: bool, options: MemoryHighOptions
    ) -> bool:
        """One step, if it is time. Returns whether the container stays on the stairs."""
        used = used_bytes(container)
        if now_s - one.moved_s < STEP_S or used is None:
            return True
        if not self.short:
            one.move(one.high_bytes + _percent(one.began_bytes, STEP_PERCENT), used, now_s)
            return one.high_bytes <= _percent(one.began_bytes, 100 + HEADROOM_PERCENT)
        lower = _percent(used, 100 - STEP_PERCENT)
        if _suffers(container, used, options):
            one.hold(max(used, one.high_bytes), now_s)
        elif used > one.high_bytes * _REACHED:
            if used < one.used_bytes * _PROGRESS:
                one.move(lower, used, now_s)  # it takes longer than STEP_S: aim again from here
            else:
                one.hold(used, now_s)
        elif not calm and now_s >= one.held_until_s and lower >= one.floor_bytes:
            one.move(lower, used, now_s)
        return True


def used_bytes(container: ContainerSignals) -> int | None:
    """What memory.high bounds; None when unknown."""
    charged = container.load.memory_charged_bytes
    return container.load.memory_bytes if charged is None else charged


def pressure_without(signals: Signals, left_out: Callable[[PodSignals], bool]) -> float | None:
    """Percent of the time in which anything but these pods stalled on memory, at least; None without PSI."""
    pressure = signals.node.memory_pressure
    if pressure is None:
        return None
    return max(pressure - sum(pod.load.memory_pressure or 0.0 for pod in signals.pods.values() if left_out(pod)), 0.0)


def available_percent(signals: Signals) -> float | None:
    """MemAvailable, percent of the node's memory; None when unknown."""
    used, capacity = signals.node.memory_bytes, signals.memory_capacity_bytes
    return None if used is None or capacity <= 0 else 100 * (capacity - used) / capacity


def is_best_effort(pod: PodSignals) -> bool:
    """Whether memory QoS treats the pod as BE: by its label, else by its Kubernetes QoS class. System-critical pods are not."""
    return pod.pod.qos_or_default is QoSClass.BE and (pod.priority or 0) < CRITICAL


def best_effort_containers(signals: Signals) -> Iterator[tuple[PodSignals, ContainerSignals]]:
    """The containers that the stairs are for."""
    for pod in signals.pods.values():
        if is_best_effort(pod):
            for container in pod.containers:
                yield pod, container


def _beginning(pod: PodSignals, container: ContainerSignals, now_s: float) -> _Stairs | None:
    used = used_bytes(container)
    if used is None or used < LEAST_BYTES:
        return None
    whole = sum(used_bytes(one) or 0 for one in pod.containers)
    floor = max(pod.memory_request_bytes * used // whole, LEAST_BYTES, used // 2)
    high = _percent(used, 100 + HEADROOM_PERCENT)
    return None if used <= floor else _Stairs(used, floor, high, now_s, used)


def _percent(amount: int, percent: int) -> int:
    return amount * percent // 100


def _suffers(container: ContainerSignals, used: int, options: MemoryHighOptions) -> bool:
    load = container.load
    stalled = load.memory_pressure is not None and load.memory_pressure >= options.stall_percent
    return stalled or (load.refaults or 0.0) * _PAGE_BYTES > _REFAULTED_SHARE * used


def at_own_bound(pod: PodSignals) -> bool:
    """Whether a pod stalls at its own memory limits or memory.high, which says nothing about the node."""
    limits = [container.baseline.memory_limit or 0 for container in pod.containers]
    bounded = bool(limits) and all(limit > 0 for limit in limits)
    return bool(pod.load.memory_high_events) or (bounded and (pod.load.memory_bytes or 0) >= _NEAR_LIMIT * sum(limits))
