"""Pods that are created one after the other where no daemon sees it: those of a file, or those that run, were they created anew.

Exclusive CPUs are given by the daemon's own allocator and rules (koordnri.cpus.allocator); nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from koordnri.chain import Snapshot
from koordnri.cpus.allocator import Allocator, NotEnough, may_give, why_not_given
from koordnri.cpus.wish import may_wish
from koordnri.model import Container, CPUSet, Pod


class Creation(NamedTuple):
    """What holds once all of them are there."""

    snapshot: Snapshot
    """with what was given, and with share pools of what is left"""
    given: Mapping[str, Mapping[str, CPUSet]]
    """key of the pod → container → exclusive CPUs. What an init container has, the containers after it may have, too"""
    lacking: Mapping[tuple[str, str], NotEnough]
    """(key of the pod, container) that wants exclusive CPUs and gets none → why"""
    disbelieved: Mapping[tuple[str, str], str] = MappingProxyType({})
    """(key of the pod, container) that says to have CPUs by a DRA driver and can have none → why"""

    def refusal(self, pod: Pod, container: str) -> str:
        """Why the runtime would be told not to create the container, "" when it would not."""
        why = self.lacking.get((pod.key, container))
        rejected = self.snapshot.policy.cpuset.when_full == "reject"
        return why.refusal(container) if why is not None and rejected else ""

    def shortage(self, pod: Pod, container: str) -> str:
        """What the pod's owner would be told of the container when it shares CPUs instead, "" when there is nothing to tell."""
        why = self.lacking.get((pod.key, container))
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
                holding = allocator.give(pod, container.name, container.baseline, node, policy.cpuset)
            except NotEnough as error:
                lacking[pod.key, container.name] = error
                allocator.lack(pod, container.name, str(error))
                continue
            if holding is not None:
                given.setdefault(pod.key, {})[container.name] = holding.cpus
            if _is_init(pod, container.name):
                allocator.spend(pod, container.name)
        allocator.drop_spent(pod)
    node = allocator.applied(node, policy.cpuset)
    if given:  # init containers among them, which have ended by now
        node = replace(node, exclusive_cpus=given)
    return Creation(snapshot._replace(node=node), given, lacking)


def promote(
    pods: Iterable[tuple[Pod, Sequence[Container]]], snapshot: Snapshot, allocator: Allocator
) -> dict[tuple[str, str], NotEnough]:
    """Reserve CPUs for the containers that run and lack some; they get them by `Allocator.arrive`.

    (key of the pod, container) that goes on lacking → why. What no policy lets grow lacks nothing new.
    """
    policy, node = snapshot
    lacking = {}
    for pod, containers in pods:
        if not may_give(pod, policy, node):
            continue
        for container in containers:
            if not policy.cpuset.promote and allocator.holding(pod, container.name) is None:
                continue
            try:
                allocator.promote(pod, container.name, container.baseline, node, policy.cpuset)
            except NotEnough as error:
                lacking[pod.key, container.name] = error
    return lacking


def _is_init(pod: Pod, name: str) -> bool:
    spec = None if pod.spec is None else pod.spec.containers.get(name)
    return spec is not None and spec.init
