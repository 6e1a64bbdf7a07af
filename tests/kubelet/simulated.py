"""Pods as a simulated kubelet sends them."""

from __future__ import annotations

from typing import Any

from koordnri.kubelet import PodManifest, SimulatedPod, pod_messages
from koordnri.model import NodeState
from koordnri.policy.reader import read
from koordnri.policy.report import Report

UID = "1b6d3c1e-0000-4000-8000-000000000001"
GIB = 1 << 30


def resources(requests: dict[str, Any] | None = None, limits: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"requests": requests or {}, "limits": limits or {}}


def simulated(
    containers: list[dict[str, Any]],
    init: list[dict[str, Any]] | None = None,
    node: NodeState | None = None,
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> SimulatedPod:
    """Pod of containers given by their resources (or whole, with a name)."""

    def named(prefix: str, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [c if "name" in c else {"name": f"{prefix}{i}", "resources": c} for i, c in enumerate(listed)]

    value = {
        "metadata": {"name": "web", "uid": UID, **(metadata or {})},
        "spec": {"containers": named("c", containers), "initContainers": named("i", init or []), **spec},
    }
    report = Report()
    manifest = read(PodManifest, value, report)
    assert report.mistakes == []
    return pod_messages(manifest, node or NodeState())


def bad(spec: dict[str, Any]) -> list[str]:
    report = Report()
    read(PodManifest, {"spec": spec}, report)
    return [str(m) for m in report.mistakes]


FULL = resources({"cpu": "2", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"})
SIDECAR = {"name": "s", "restartPolicy": "Always", "resources": resources({"cpu": "250m", "memory": "64Mi"})}
POD_OF_2 = resources({"cpu": "2", "memory": "2Gi"}, {"cpu": "2", "memory": "2Gi"})
