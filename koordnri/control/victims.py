"""Which pods may be evicted, in which order, and how many suffice. Pure. Source: koordlet's cpuevict and memoryevict."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from koordnri.control.signals import PodSignals
from koordnri.model.annotations import EVICTION_ENABLED_LABEL, EVICTION_POLICY, EVICTION_PRIORITY
from koordnri.model.errors import AnnotationError
from koordnri.model.pod import Pod
from koordnri.model.priority import CRITICAL, priority_value, sub_priority
from koordnri.model.qos import QoSClass
from koordnri.policy.policy import Policy


class Feature(StrEnum):
    """What evicts. The names are koordlet's feature gates, which the annotation `koordinator.sh/eviction-policy` lists."""

    BE_CPU = "BECPUEvict"
    CPU_ALLOCATABLE = "CPUAllocatableEvict"
    CPU = "CPUEvict"
    BE_MEMORY = "BEMemoryEvict"
    BE_MEMORY_PRESSURE = "BEMemoryPressureEvict"
    """koordnri's own"""
    MEMORY_ALLOCATABLE = "MemoryAllocatableEvict"
    MEMORY = "MemoryEvict"
    NOISY_NEIGHBOUR = "NoisyNeighbourEvict"
    """koordnri's own"""


Standing = Literal["leaving", "stuck", "spared"]
"""What is known of a pod that was chosen before. leaving: its eviction was accepted or is being asked for, so what it releases counts
already. stuck: it was deleted and does not leave, so it is no longer counted on. spared: it is not chosen, as its eviction was refused a
moment ago; others may be."""

Amount = Callable[[PodSignals], float]
"""What the node gains when the pod is gone: milli-cores or bytes."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one feature wants released, and by whom."""

    feature: Feature
    target: str
    """needs with the same target count the same thing, so that what one releases serves the other"""
    release: float
    """milli-cores or bytes"""
    why: str
    """with the figures, for the pod's owner"""
    amount: Amount
    candidates: Sequence[PodSignals]
    """in the order in which they are evicted. Needs that follow one another and have the very same list are served together, pod by pod"""


class Victim(NamedTuple):
    """A pod to be evicted."""

    pod: Pod
    feature: Feature
    reason: str


def may_be_evicted(pod: PodSignals, policy: Policy, feature: Feature) -> bool:
    """Whether any feature may ever choose the pod, and this one now. A pod that is not known well enough is left alone."""
    one = pod.pod
    return (
        bool(one.uid)
        and one.spec is not None
        and not one.spec.of_daemon_set
        and pod.priority is not None
        and pod.priority < CRITICAL
        and not one.is_static
        and one.qos is not QoSClass.SYSTEM
        and one.namespace not in policy.namespaces_left_alone
        and _allows(one, feature)
    )


def _allows(pod: Pod, feature: Feature) -> bool:
    try:
        features = EVICTION_POLICY.of(pod)
    except AnnotationError:  # its owner wanted to restrict eviction; `pod_remarks` reports the mistake
        return False
    return features is None or feature in features


def best_effort(
    pods: Iterable[PodSignals], policy: Policy, feature: Feature, amount: Callable[[PodSignals], float]
) -> list[PodSignals]:
    """BE pods, in the order in which they are evicted: lowest priority first, then the largest amount."""
    found = [pod for pod in pods if pod.pod.qos is QoSClass.BE and may_be_evicted(pod, policy, feature)]
    return sorted(found, key=lambda pod: (pod.priority or 0, -amount(pod), *_identity(pod)))


def by_priority(
    pods: Iterable[PodSignals],
    policy: Policy,
    feature: Feature,
    threshold: int,
    amount: Callable[[PodSignals], float],
) -> list[PodSignals]:
    """Pods with the label `koordinator.sh/eviction-enabled: "true"` and a priority up to `threshold`, in the order in which they are
    evicted: by the annotation `koordinator.sh/eviction-priority`, priority, the label `koordinator.sh/priority`, then the largest amount.
    """
    found = [
        pod
        for pod in pods
        if pod.pod.labels.get(EVICTION_ENABLED_LABEL) == "true"
        and priority_value(pod.pod, pod.priority) <= threshold
        and may_be_evicted(pod, policy, feature)
    ]

    def order(pod: PodSignals) -> Any:
        priority = priority_value(pod.pod, pod.priority)
        return (
            _eviction_priority(pod.pod),
            priority,
            sub_priority(pod.pod, priority),
            -amount(pod),
            *_identity(pod),
        )

    return sorted(found, key=order)


def _eviction_priority(pod: Pod) -> int:
    try:
        return EVICTION_PRIORITY.of(pod) or 0
    except AnnotationError:  # as koordlet; `pod_remarks` reports the mistake
        return 0


def is_deleted(pod: Pod) -> bool:
    """Whether somebody has deleted the pod, so that it is leaving."""
    return pod.spec is not None and pod.spec.leaving


def _identity(pod: PodSignals) -> tuple[str, str, str]:
    """Makes every order total."""
    return pod.pod.namespace, pod.pod.name, pod.pod.uid


def choose(
    needs: Sequence[Need], pods: Mapping[str, PodSignals], standing: Mapping[str, Standing], most: int
) -> list[Victim]:
    """The fewest pods of each need's order that release enough, at most `most`.

    Pods that are leaving count first, whoever has had them deleted.
    """
    amounts: dict[str, list[Amount]] = {}
    for need in needs:
        amounts.setdefault(need.target, []).append(need.amount)
    released = dict.fromkeys(amounts, 0.0)

    def release(pod: PodSignals) -> None:
        for target, each in amounts.items():
            # The same thing counts once, though two features want it.
            released[target] += max(amount(pod) for amount in each)

    leaving = [
        uid
        for uid, one in pods.items()
        if (known := standing.get(uid)) == "leaving" or (known != "stuck" and is_deleted(one.pod))
    ]
    for uid in sorted(leaving):
        release(pods[uid])
    victims: list[Victim] = []
    gone = {*standing, *leaving}
    for _, group in itertools.groupby(needs, lambda need: id(need.candidates)):
        together = list(group)
        for pod in together[0].candidates:
            if len(victims) >= most:
                return victims
            served = _served(together, released, pod)
            if pod.pod.uid in gone or served is None:
                continue
            gone.add(pod.pod.uid)
            victims.append(Victim(pod.pod, served.feature, served.why))
            release(pod)
    return victims


def _served(needs: Iterable[Need], released: Mapping[str, float], pod: PodSignals) -> Need | None:
    """The first of `needs` that the pod serves: evicting who releases nothing helps nobody."""
    return next((need for need in needs if released[need.target] < need.release and need.amount(pod) > 0), None)
