"""A pod and its containers under one policy."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.chain import Chain, ContainerRefused, Snapshot
from koordnri.cpus.creation import Creation
from koordnri.model import Container, Decision, Event, Pod
from koordnri.reconcile.compare.running import Running


class PodDecisions(NamedTuple):
    """A pod under one policy."""

    own: Decision
    following: list[Decision]
    """of its containers as they run"""
    created: list[tuple[Decision, str]]
    """of its containers if they were created now, and why that would be refused"""
    recreated: Decision
    """of the pod's own cgroup if it were created now"""


def decide(chain: Chain, running: Running, snapshot: Snapshot, recreated: Creation) -> PodDecisions:
    pod = running.pod
    return PodDecisions(
        chain.decide_pod(pod, snapshot, running.containers),
        [chain.decide_container(pod, container, Event.SYNC, snapshot) for container in running.containers],
        [_create(chain, pod, container, recreated) for container in running.containers],
        chain.decide_pod(pod, recreated.snapshot, running.containers),
    )


def _create(chain: Chain, pod: Pod, container: Container, recreated: Creation) -> tuple[Decision, str]:
    try:
        decision = chain.decide_container(pod, container, Event.CREATE, recreated.snapshot)
    except ContainerRefused as refused:
        return refused.decision, str(refused)
    return decision, recreated.refusal(pod, container.name)
