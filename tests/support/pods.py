"""Pods and containers of the model, of which a test states only what matters to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from koordnri.model import Pod
from koordnri.model.qos import QOS_LABEL

GUARANTEED = "/kubepods.slice/kubepods-pod1.slice"
BURSTABLE = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice"
BESTEFFORT = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice"
"""Cgroups of a pod of each Kubernetes QoS class, as the systemd driver names them."""


def pod(
    qos: str = "",
    parent: str | None = None,
    annotations: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    *,
    name: str = "web",
    **more: Any,
) -> Pod:
    """A pod of the namespace shop with the uid `uid-<name>`; an annotation that is not text is written as JSON.

    qos     Koordinator's QoS class; none by default
    parent  its cgroup; by default that of a burstable pod, as the cgroupfs driver names it
    """
    return Pod(
        name,
        f"uid-{name}",
        "shop",
        name,
        {**({QOS_LABEL: qos} if qos else {}), **(labels or {})},
        {k: v if isinstance(v, str) else json.dumps(v) for k, v in (annotations or {}).items()},
        f"/kubepods/burstable/poduid-{name}" if parent is None else parent,
        **more,
    )
