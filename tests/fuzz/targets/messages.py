"""Any sequence of NRI requests: each is answered, refused or a DecodeError; no hook has a bug, and every answer can be sent.

A request is a byte that chooses the method, two bytes of length, and the message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from google.protobuf.message import DecodeError

from koordnri.chain import ContainerRefused, load_hooks
from koordnri.session.intake import Intake
from tests.hooks.annotated_node import NODE, POLICY
from tests.session.one_node import Node

METHODS = (
    "CreateContainer",
    "UpdateContainer",
    "Synchronize",
    "RunPodSandbox",
    "StartContainer",
    "StopContainer",
    "RemoveContainer",
    "StopPodSandbox",
    "RemovePodSandbox",
    "StateChange",
)
_HOOKS = load_hooks()
_NODES = (NODE, replace(NODE, cgroup_version=1), replace(NODE, kubelet_cpu_policy="static"))


def check(data: bytes) -> None:
    """A node to which a runtime sends these requests, one after the other."""
    if not data:
        return
    node = Node(POLICY, _NODES[data[0] % len(_NODES)], _HOOKS)
    for method, payload in _requests(data[1:]):
        try:
            _answer(node, method, payload)
        except (DecodeError, ContainerRefused):
            continue
    for *_, decision in node.observed.reported:
        bugs = [error for error in (decision.errors if decision is not None else ()) if error.fault == "bug"]
        assert not bugs, bugs


def _answer(node: Node, method: str, payload: bytes) -> None:
    if method == "Synchronize":
        intake = Intake()
        intake.take(payload)
        answer = node.handler.synchronize(intake.pods, intake.containers)
    else:
        answer = node.handler.handle(method, payload)
    if answer.message is not None:
        answer.message.SerializeToString()
    if answer.settle is not None:
        answer.settle()


def _requests(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while len(data) - at >= 3:
        size = int.from_bytes(data[at + 1 : at + 3], "big")
        yield METHODS[data[at] % len(METHODS)], data[at + 3 : at + 3 + size]
        at += 3 + size
