"""Pods and signals for the tests of eviction, of which a test states only what matters to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from koordnri.control.class_requests import ClassRequests
from koordnri.control.signals import Load, PodSignals, Signals
from koordnri.model import CPUSet
from koordnri.model.pod import PodSpec
from koordnri.policy import Policy
from tests.support.pods import pod
from tests.support.policies import policy_of

GIB = 1 << 30
ENABLED = {"koordinator.sh/eviction-enabled": "true"}
NO_SPEC = None
SPEC = PodSpec({})
LONG_AGO_S = -1000.0
"""when the daemon started: its budget of evictions is full by now"""


def running(
    name: str,
    qos: str = "BE",
    *,
    used: float | None = 0.0,
    memory: float | None = 0.0,
    cpu_request: int = 0,
    memory_request: float = 0.0,
    class_cpu: int = 0,
    class_memory: float = 0.0,
    priority: int | None = 5000,
    spec: PodSpec | None = SPEC,
    **more: Any,
) -> PodSignals:
    """A pod: CPUs in cores, memory in GiB, its requests for CPU in milli-cores; `class_`: of mid or batch resources."""
    return PodSignals(
        pod(qos, name=name, spec=spec, **more),
        Load(used_cores=used, memory_bytes=None if memory is None else int(memory * GIB)),
        cpu_request_milli=cpu_request,
        memory_request_bytes=int(memory_request * GIB),
        priority=priority,
        class_requests=ClassRequests(class_cpu, int(class_memory * GIB)),
    )


def node(
    *pods: PodSignals,
    at_s: float = 0.0,
    cpus: str = "0-99",
    used: float | None = 0.0,
    memory: float | None = 0.0,
    capacity: float = 100.0,
    pressure: float | None = None,
    allocatable_milli: int | None = None,
    allocatable: float | None = None,
    mid_milli: int | None = None,
    mid: float | None = None,
) -> Signals:
    """A node with 100 CPUs and 100 GiB; memory in GiB. `allocatable`: batch resources that it offers; `mid`: mid resources."""
    return Signals(
        at_s,
        1.0,
        CPUSet.parse(cpus),
        Load(
            used_cores=used,
            memory_bytes=None if memory is None else int(memory * GIB),
            memory_pressure=pressure,
        ),
        int(capacity * GIB),
        {one.pod.uid: one for one in pods},
        be_allocatable_milli=allocatable_milli,
        be_allocatable_bytes=None if allocatable is None else int(allocatable * GIB),
        mid_allocatable_milli=mid_milli,
        mid_allocatable_bytes=None if mid is None else int(mid * GIB),
    )


def evicting(options: Mapping[str, Any] | None = None, left_alone: tuple[str, ...] = (), /, **threshold: Any) -> Policy:
    """A policy with `resource-threshold-config` as stated; eviction is enforced."""
    return policy_of(
        resource_threshold_config={"clusterStrategy": {"enable": True, **threshold}},
        koordnri_config={
            "clusterStrategy": {
                "controllers": {"evict": {"mode": "enforce", **(options or {})}},
                "namespacesLeftAlone": list(left_alone),
            }
        },
    )
