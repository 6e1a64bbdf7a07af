"""An API server in which pods can be created, read and deleted, and which refuses what a test says."""

from __future__ import annotations

import json
from collections.abc import Callable

import kmock

from tests.kube.fake_api import Answer, FakeApi, Json, status, whole


def forbidden(verb: str, user: str = "system:serviceaccount:koordnri-system:koordnri") -> Answer:
    """As RBAC says no."""
    return status(
        403, f'pods "x" is forbidden: User "{user}" cannot {verb} resource "pods" in API group "" in the namespace "n"'
    )


class FakePods(FakeApi):
    """`status` is that of all pods; `refusal` gives an answer in place of the usual one, or None."""

    def __init__(self) -> None:
        super().__init__()
        self.pods: dict[str, Json] = {}
        self.status: Json = {"phase": "Running"}
        self.refusal: Callable[[str, str], Answer | None] = lambda method, name: None
        """(method, name of the pod) → answer"""

    def __enter__(self) -> FakePods:
        super().__enter__()
        self.answer(lambda handler: handler[self._is_pods], self._answer)
        return self

    def _is_pods(self, request: kmock.Request) -> bool:
        return "/pods" in request.url.path

    def _answer(self) -> Answer:
        request = self.requests.items[-1]
        body = request.json if request.method == "POST" else {}
        name = body["metadata"]["name"] if body else request.path.rpartition("/")[2]
        if (refused := self.refusal(request.method, name)) is not None:
            return refused
        if body:
            self.pods[name] = body
        elif name not in self.pods:
            return status(404, f'pods "{name}" not found')
        pod = {**self.pods[name], "kind": "Pod", "status": self.status}
        if request.method == "DELETE":
            del self.pods[name]
        return whole(200, json.dumps(pod).encode(), Content_Type="application/json")
