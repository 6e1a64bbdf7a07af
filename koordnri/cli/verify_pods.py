"""The pods that `koordnri verify` creates: one per class. Any namespace admits them, also one with Pod Security level `restricted`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from koordnri.model import Field
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, EXTENDED_RESOURCE_SPEC
from koordnri.model.fields import CPU_CPUS, CPU_QUOTA, CPU_SHARES, MEMORY_LIMIT
from koordnri.model.qos import QOS_LABEL

CONTAINER = "main"
RUN_LABEL = "koordnri.sh/verify"
"""of every pod; its value is the run"""
_NOBODY = 65535
"""uid of the pause image's user"""
_LIMIT = "64Mi"


class PodSample(NamedTuple):
    """One class, and what is compared of its container."""

    title: str
    """as printed"""
    qos: str
    """Koordinator's QoS class; "" for none"""
    fields: tuple[Field, ...]
    """that are compared"""
    requests: Mapping[str, str] = {}
    limits: Mapping[str, str] = {}
    batch: Mapping[str, str] = {}
    """batch resources"""


SAMPLES = (
    PodSample(
        "LSR",
        "LSR",
        (CPU_CPUS, CPU_QUOTA, MEMORY_LIMIT),
        {"cpu": "1", "memory": _LIMIT},
        {"cpu": "1", "memory": _LIMIT},
    ),
    PodSample(
        "LS",
        "LS",
        (CPU_CPUS, CPU_SHARES, CPU_QUOTA, MEMORY_LIMIT),
        {"cpu": "100m", "memory": _LIMIT},
        {"cpu": "400m", "memory": _LIMIT},
    ),
    PodSample(
        "BE",
        "BE",
        (CPU_CPUS, CPU_SHARES, CPU_QUOTA, MEMORY_LIMIT),
        batch={BATCH_CPU: "200", BATCH_MEMORY: _LIMIT},
    ),
    PodSample(
        "plain",
        "",
        (CPU_CPUS, CPU_SHARES, CPU_QUOTA, MEMORY_LIMIT),
        {"cpu": "50m", "memory": _LIMIT},
        {"cpu": "200m", "memory": _LIMIT},
    ),
)


class Placement(NamedTuple):
    """Where and how the pods of one run are created."""

    run: str
    """part of their names"""
    namespace: str
    node: str
    image: str
    lifetime_s: int
    """kubelet ends them after so many seconds, should nobody delete them"""

    def name(self, title: str) -> str:
        """Name of a class's pod."""
        return f"koordnri-verify-{self.run}-{title.lower()}"


def manifest(sample: PodSample, place: Placement) -> dict[str, Any]:
    """The Pod. Its node is fixed, so no scheduler is asked."""
    resources = {"requests": dict(sample.requests), "limits": dict(sample.limits)}
    labels = {"app.kubernetes.io/name": "koordnri-verify", RUN_LABEL: place.run}
    metadata: dict[str, Any] = {"name": place.name(sample.title), "namespace": place.namespace, "labels": labels}
    if sample.qos:
        labels[QOS_LABEL] = sample.qos
    if sample.batch:
        # Not as resources: kubelet refuses a pod that asks for some that its Node does not have.
        # Only limits: a request by the annotation alone counts for pods that the policy lists (trust.extendedResourceSpec).
        amounts = {"limits": dict(sample.batch)}
        metadata["annotations"] = {EXTENDED_RESOURCE_SPEC.key: json.dumps({"containers": {CONTAINER: amounts}})}
    container = {
        "name": CONTAINER,
        "image": place.image,
        "imagePullPolicy": "IfNotPresent",
        "resources": resources,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "nodeName": place.node,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": place.lifetime_s,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
