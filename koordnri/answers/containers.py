"""`GET /v1/containers`: the running containers, where their cgroups are, and what they were given. `koordnri top` reads these cgroups.

    {"node": name, "cgroupVersion": 1 or 2, "hostRoot": where this daemon sees the host's /sys and /proc,
     "pods": [{"namespace", "name", "uid", "class": QoS class of the label, else the default one, "kubeQoS", "cgroup",
               "containers": [{"name", "id", "cgroup", "requestedMilli": CPU that the pod asks for, null for none,
                               "givenMilli": exclusive CPUs, else the quota, null for no limit, "cpus": list, "exclusive": bool}]}]}

A pod is left out if what the runtime reports does not show where its cgroup is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from koordnri.answers.cpu_holders import Pins, find_holders
from koordnri.cpus.holding import Holdings
from koordnri.host.cgroup.paths import container_directory, pod_directory
from koordnri.model import AnnotationError, CPUSet, NodeError, Pod, fields, quantity_milli, quantity_value
from koordnri.model.annotations import BATCH_CPU, EXTENDED_RESOURCE_SPEC
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.fields import Field
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.state.world import World

NO_HOLDINGS: Holdings = {}
_Exclusive = Mapping[tuple[str, str], CPUSet]
"""(key of the pod, container, "" for the whole pod) → exclusive CPUs"""
_LEAST_SHARES = 2
"""cpu.shares that kubelet asks for when the pod requests no CPU."""


def list_containers(ledger: Ledger, world: World, pins: Pins, host_root: Path) -> Mapping[str, Any]:
    """The shape of the module. `pins`: CPUs that kubelet pinned containers to."""
    node = world.snapshot.node
    exclusive = {(o.key, o.container): o.cpus for o in find_holders(node, ledger.pods(), NO_HOLDINGS, pins)}
    return {
        "node": node.name,
        "cgroupVersion": node.cgroup_version,
        "hostRoot": str(host_root),
        "pods": list(_pods(ledger, exclusive, world.runtime)),
    }


def _pods(ledger: Ledger, exclusive: _Exclusive, runtime: str) -> Iterator[dict[str, Any]]:
    for pod in ledger.pods():
        entries = [entry for entry in ledger.containers_of(pod.id) if not entry.ended]
        if entries:
            with contextlib.suppress(NodeError):
                yield {
                    "namespace": pod.namespace,
                    "name": pod.name,
                    "uid": pod.uid,
                    "class": pod.qos_or_default.value,
                    "kubeQoS": pod.kube_qos.value,
                    "cgroup": pod_directory(pod.cgroup_parent),
                    "containers": [_described(pod, entry, exclusive, runtime) for entry in entries],
                }


def _described(pod: Pod, entry: Entry, exclusive: _Exclusive, runtime: str) -> dict[str, Any]:
    # A scheduler's CPUs are the whole pod's.
    own = exclusive.get((pod.key, entry.name)) or exclusive.get((pod.key, ""), NO_CPUS)
    return {
        "name": entry.name,
        "id": entry.id,
        "cgroup": container_directory(pod.cgroup_parent, entry.id, runtime),
        "requestedMilli": _requested_milli(pod, entry),
        "givenMilli": 1000 * len(own) if own else quota_milli(entry),
        "cpus": str(own) if own else present_value(entry, fields.CPU_CPUS) or "",
        "exclusive": bool(own),
    }


def present_value(entry: Entry, field: Field) -> Any:
    """What the file holds, else what was sent, else what kubelet asked for."""
    if field.name in entry.files:
        return entry.files[field.name]
    if field.name in entry.sent:
        return entry.sent[field.name][0]
    return getattr(entry.baseline, field.baseline) if field.baseline else None


def quota_milli(entry: Entry) -> int | None:
    """The CPU time that the container may use, as far as we know; None: no limit."""
    quota, period = (
        present_value(entry, fields.CPU_QUOTA),
        present_value(entry, fields.CPU_PERIOD) or entry.baseline.period_us,
    )
    if not isinstance(quota, int) or not isinstance(period, int) or quota <= 0 or period <= 0:
        return None
    return quota * 1000 // period


def _requested_milli(pod: Pod, entry: Entry) -> int | None:
    """From the pod's spec or Koordinator's annotation, as the scheduler counts it; else from the shares that kubelet asked for."""
    for amounts in _amounts(pod, entry.name):
        try:
            if BATCH_CPU in amounts:
                return quantity_value(amounts[BATCH_CPU])
            if "cpu" in amounts:
                return quantity_milli(amounts["cpu"])
        except ValueError:
            continue  # its hook reports that to the pod's owner
    shares = entry.baseline.cpu_shares or 0
    return round(shares * 1000 / 1024) if shares > _LEAST_SHARES else None


def _amounts(pod: Pod, name: str) -> Iterator[Mapping[str, str | int | float]]:
    if pod.spec is not None and name in pod.spec.containers:
        yield pod.spec.containers[name].requests
    try:
        written = EXTENDED_RESOURCE_SPEC.of(pod)
    except AnnotationError:
        return
    if written is not None and name in written.containers:
        yield written.containers[name].requests
