"""Creates, reads and deletes single pods, for `koordnri verify`. The daemon never does. RBAC: verbs create, get and delete on pods.

Each call sends one request. It raises ApiRefused when the API server refuses, and other KubeErrors when it cannot be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from koordnri.kube.api import Api
from koordnri.kube.errors import ApiRefused, Garbled, excerpt
from koordnri.kube.objects import DECODE_ERRORS

_ANSWER_S = 10.0
_NOT_FOUND = 404


class _Reason(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _ContainerState(msgspec.Struct):
    waiting: _Reason | None = None
    terminated: _Reason | None = None


class _ContainerStatus(msgspec.Struct):
    state: _ContainerState = msgspec.field(default_factory=_ContainerState)


class _Status(msgspec.Struct, rename="camel"):
    phase: str = ""
    reason: str = ""
    message: str = ""
    container_statuses: list[_ContainerStatus] = []


class _Pod(msgspec.Struct):
    kind: str
    status: _Status = msgspec.field(default_factory=_Status)


_decode = msgspec.json.Decoder(_Pod).decode


class PodProgress(NamedTuple):
    """How far a pod has come."""

    phase: str
    """Pending, Running, Succeeded, Failed; "": there is no such pod"""
    why: str
    """what kubelet says of a pod that does not run, such as `ImagePullBackOff: …`; "" when it says nothing"""


class PodCalls:
    """Pods of one namespace."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Create a pod."""
        self._ask("POST", self._path, msgspec.json.encode(manifest))

    def progress(self, name: str) -> PodProgress:
        """How far a pod has come."""
        path = self._one(name)
        try:
            answer = self._ask("GET", path)
        except ApiRefused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return PodProgress("", "the pod is gone: somebody else deleted it")
        try:
            status = _decode(answer).status
        except DECODE_ERRORS as error:
            raise Garbled(f"GET {path}: expected a Pod, got {excerpt(answer)!r}: {error}") from None
        return PodProgress(status.phase, _why(status))

    def delete(self, name: str) -> bool:
        """Delete a pod. False when there is none."""
        try:
            self._ask("DELETE", self._one(name))
        except ApiRefused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return False
        return True

    def _one(self, name: str) -> str:
        return f"{self._path}/{quote(name, safe='')}"

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        with self._api.open(method, path, body=body, read_s=_ANSWER_S) as reply:
            return reply.read(within_s=_ANSWER_S)


def _why(status: _Status) -> str:
    states = [container.state for container in status.container_statuses]
    reasons = [_Reason(status.reason, status.message), *(state.waiting or state.terminated for state in states)]
    texts = [": ".join(filter(None, (one.reason, one.message))) for one in reasons if one is not None]
    return excerpt(next(filter(None, texts), ""), 300)
