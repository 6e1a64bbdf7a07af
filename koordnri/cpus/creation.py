"""Pods that are created one after the other where no daemon sees it: those of a file, or those that run, were they created anew.

CPUs of their own are given by the daemon's own allocator and rules (koordnri.cpus.allocator); nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from koordnri.chain import Snapshot
from koordnri.cpus.allocator import Allocator, NotEnough, may_give
from koordnri.model import AnnotationError, Container, Pod


class Creation(NamedTuple):
    """What holds once all of them are there."""

    snapshot: Snapshot
    """with what was given, and with share pools of what is left"""
    given: Mapping[str, Mapping[str, str]]
    """pod id → container → CPUs of its own"""
    lacking: Mapping[tuple[str, str], NotEnough]
    """(pod id, container) that wants CPUs of its own and gets none → why"""
    disbelieved: Mapping[tuple[str, str], str] = MappingProxyType({})
    """(pod id, container) that says to have CPUs by a DRA driver and can have none → why"""

    def refusal(self, pod: Pod, container: str) -> str:
        """Why the runtime would be told not to create the container, "" when it would not."""
        why = self.lacking.get((pod.id, container))
        rejected = self.snapshot.policy.cpuset.when_full == "reject"
        return why.refusal(container) if why is not None and rejected else ""

    def shortage(self, pod: Pod, container: str) -> str:
        """What the pod's owner would be told of the container when it shares CPUs instead, "" when there is nothing to tell."""
        why = self.lacking.get((pod.id, container))
        shares = self.snapshot.policy.cpuset.when_full == "share"
        return why.shortage if why is not None and shares else ""


def create(
    pods: Iterable[tuple[Pod, Sequence[Container]]],
    snapshot: Snapshot,
    allocator: Allocator,
    there: Iterable[Pod] = (),
) -> Creation:
    """Create the pods and their containers in this order. What a pod had been given by `allocator` is free for it to begin with.

    allocator   what is given; changed
    there       pods that are there from the beginning: what a scheduler assigned to them is not free
    """
    policy, node = snapshot
    known, lacking = list(there), dict[tuple[str, str], NotEnough]()
    for pod, containers in pods:
        known.append(pod)
        allocator.take_back(pod.id)
        for container in containers if may_give(pod, policy, node) else ():
            try:
                allocator.give(pod, container.name, container.baseline, node, known)
            except AnnotationError:
                pass  # told by the cpuset hook
            except NotEnough as error:
                lacking[pod.id, container.name] = error
    given = {pod_id: {name: str(g.cpus) for name, g in of_pod.items()} for pod_id, of_pod in allocator.given.items()}
    return Creation(snapshot._replace(node=allocator.applied(node, known)), given, lacking)
