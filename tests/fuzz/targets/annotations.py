"""Any text in any annotation of a pod: each hook decides or blames the pod in a text; none has a bug, on either cgroup version.

A line is one annotation: a character that chooses its key, then its text.
"""

from __future__ import annotations

from dataclasses import replace

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.cpus.wish import wanted_by
from koordnri.model import Container, Event, Resources
from koordnri.model.allocated import Allocated
from koordnri.model.annotations import (
    BLKIO_QOS_KEY,
    CPU_BURST_KEY,
    CPU_QOS_KEY,
    GPU_ISOLATION_LABEL,
    MEMORY_QOS_KEY,
    NETWORK_QOS_KEY,
    RESCTRL_KEY,
    RESOURCE_STATUS,
)
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.model.resource_spec import EXCLUSIVE_CPUS, RESOURCE_SPEC
from koordnri.policy.pod_overrides import ignored_keys
from koordnri.policy.pod_remarks import pod_remarks
from tests.hooks.annotated_node import NODE, POLICY
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod

KEYS = (
    RESOURCE_STATUS.key,
    RESOURCE_SPEC.key,
    EXCLUSIVE_CPUS.key,
    "scheduling.koordinator.sh/device-allocated",
    "node.koordinator.sh/extended-resource-spec",
    RESCTRL_KEY,
    CPU_QOS_KEY,
    MEMORY_QOS_KEY,
    CPU_BURST_KEY,
    BLKIO_QOS_KEY,
    NETWORK_QOS_KEY,
)
FIRST = ord("a")
"""character of the first key"""
_PLACES = (("LS", BURSTABLE), ("BE", BESTEFFORT), ("LSR", GUARANTEED), ("LSE", GUARANTEED), ("SYSTEM", BURSTABLE))
_CHAIN = Chain(load_hooks())
_UNDER = (Snapshot.of(POLICY, NODE), Snapshot.of(POLICY, replace(NODE, cgroup_version=1)))
_ASKED = Resources(cpu_shares=2048, cpu_quota=200_000, cpu_period=100_000, memory_limit=1 << 31)


def check(data: bytes) -> None:
    """A pod with these annotations: at creation, running, and its own cgroup."""
    if not data:
        return
    qos, parent = _PLACES[data[0] % len(_PLACES)]
    lines = [line for line in data[1:].decode(errors="replace").split("\n") if line]
    annotations = {KEYS[(ord(line[0]) - FIRST) % len(KEYS)]: line[1:] for line in lines}
    one = pod(qos, parent, annotations, {GPU_ISOLATION_LABEL: "HAMi-core"})
    one.spec = PodSpec({"main": ContainerSpec({"memory": "1Gi", "cpu": "2"}, {"cpu": "2"})})
    container = Container("c1", "main", one.id, _ASKED)
    for under in _UNDER:
        decisions = [_CHAIN.decide_container(one, container, event, under) for event in (Event.CREATE, Event.SYNC)]
        decisions.append(_CHAIN.decide_pod(one, under, [container]))
        for decision in decisions:
            for error in decision.errors:
                assert error.fault != "bug", error
                assert error.message
    wanted_by(one, "main", _ASKED)
    Allocated.parse(annotations.get(KEYS[0], ""))
    for _, _, message in ignored_keys(one):
        assert message
    assert all(remark for remark in pod_remarks(one))
