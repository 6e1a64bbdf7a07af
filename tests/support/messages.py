"""Pods and containers as the runtime sends them, of which a test states only what matters to it."""

from __future__ import annotations

from typing import Any

from koordnri.model.qos import QOS_LABEL
from koordnri.wire import api_pb2 as api


def pod(pod_id: str = "p1", qos: str = "", parent: str = "", **fields: Any) -> api.PodSandbox:
    """A sandbox with the uid `uid-<id>`, of the namespace shop and named as its id.

    qos     Koordinator's QoS class; none by default
    parent  its cgroup; not reported by default
    fields  of the message, instead of these or beside them
    """
    message = api.PodSandbox(**{"id": pod_id, "uid": f"uid-{pod_id}", "namespace": "shop", "name": pod_id, **fields})
    if qos:
        message.labels[QOS_LABEL] = qos
    if parent:
        message.linux.cgroup_parent = parent
    return message


def container(container_id: str = "c1", pod_id: str = "p1", **fields: Any) -> api.Container:
    """A container named as its id; `fields` of the message, instead of these or beside them."""
    return api.Container(**{"id": container_id, "pod_sandbox_id": pod_id, "name": container_id, **fields})
