"""Creates pods one after the other without a daemon: the pods of a file, or running pods as if they were created again.

The daemon's own allocator and rules give the exclusive CPUs (koordnri.cpus.allocator); nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from koordnri.chain import Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.permission import may_give, why_not_given
from koordnri.cpus.room import NotEnough
from koordnri.cpus.wish import may_wish
from koordnri.model import Container, CPUSet, Pod


class Creation(NamedTuple):
    """The state once all pods are created."""

    snapshot: Snapshot
    """with all holdings, and with share pools of what is left"""
    given: Mapping[str, Mapping[str, CPUSet]]
    """key of the pod → container → exclusive CPUs. Later containers may have the same CPUs as an init container"""
    lacking: Mapping[tuple[str, str], NotEnough]
    """(key of the pod, container) that wants exclusive CPUs and gets none → why"""

    def refusal(self, pod: Pod, container: str) -> str:
        """Why the daemon would refuse the container's creation; "" when it would not."""
        why = self.lacking.get((pod.key, container))
        rejected = self.snapshot.policy.cpuset.when_full == "reject"
        return why.refusal(container) if why is not None and rejected else ""

    def shortage(self, pod: Pod, container: str) -> str:
        """The message to the pod's owner when the container would share CPUs instead; "" when there is nothing to say."""
        why = self.lacking.get((pod.key, container))
        shares = self.snapshot.policy.cpuset.when_full == "share"
        return why.shortage if why is not None and shares else ""


def create(
    pods: Iterable[tuple[Pod, Sequence[Container]]],
    snapshot: Snapshot,
    allocator: Allocator,
    there: Iterable[Pod] = (),
) -> Creation:
    """Create the pods and their containers in this order. CPUs that `allocator` holds for one of them are free first.

    allocator   the holdings; it is changed
    there       pods that exist from the beginning: CPUs that a scheduler assigned to them are not free
    """
    policy, node = snapshot
    limits = policy.trust.limits_of_cpus
    lacking = dict[tuple[str, str], NotEnough]()
    given = {key: {name: h.cpus for name, h in of_pod.items()} for key, of_pod in allocator.held.items()}
    for pod in there:
        allocator.note_pod(pod)
    for pod, containers in pods:
        allocator.note_pod(pod)
        allocator.take_back(pod.key)
        given.pop(pod.key, None)
        if not may_wish(pod):
            continue
        why_not = why_not_given(pod, policy, node)
        for container in containers:
            if why_not:
                allocator.lack(pod, container.name, why_not)
                continue
            try:
                holding = allocator.give(pod, container.name, container.baseline, node, policy.cpuset, limits)
            except NotEnough as error:
                lacking[pod.key, container.name] = error
                allocator.lack(pod, container.name, str(error))
                continue
            if holding is not None:
                given.setdefault(pod.key, {})[container.name] = holding.cpus
            if _is_init(pod, container.name):
                allocator.spend(pod, container.name)
        allocator.drop_spent(pod)
    node = allocator.applied(node, policy.cpuset, policy.trust.observed_limits)
    if given:  # includes init containers, which have ended by now
        node = replace(node, exclusive_cpus=given)
    return Creation(snapshot._replace(node=node), given, lacking)


def promote(
    pods: Iterable[tuple[Pod, Sequence[Container]]], snapshot: Snapshot, allocator: Allocator
) -> dict[tuple[str, str], NotEnough]:
    """Reserve CPUs for running containers that lack some; they get them by `Allocator.arrive`.

    Returns (key of the pod, container) that still lacks CPUs → why. A container that no policy lets grow does not count.
    """
    policy, node = snapshot
    limits = policy.trust.limits_of_cpus
    lacking = {}
    for pod, containers in pods:
        if not may_give(pod, policy, node):
            continue
        for container in containers:
            if not policy.cpuset.promote and allocator.holding(pod, container.name) is None:
                continue
            try:
                allocator.promote(pod, container.name, container.baseline, node, policy.cpuset, limits)
            except NotEnough as error:
                lacking[pod.key, container.name] = error
    return lacking


def _is_init(pod: Pod, name: str) -> bool:
    spec = None if pod.spec is None else pod.spec.containers.get(name)
    return spec is not None and spec.init
