"""Starts and ends of containers and pods: what the ledger knows afterwards, and who hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.chain import Chain, Snapshot
from koordnri.model import NodeState
from koordnri.policy import DEFAULT_POLICY
from koordnri.session.handler import EventHandler
from koordnri.state.ledger import Ledger
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import NRIEvent

POD = api.PodSandbox(id="p1", uid="u1", name="web", namespace="shop")
CONTAINER = api.Container(id="c1", name="main", pod_sandbox_id="p1")


class Heard:
    """What the lifecycle's neighbours hear."""

    def __init__(self) -> None:
        self.changed: list[str | None] = []
        self.calls: list[tuple[str, Any]] = []
        self.handler = EventHandler(
            Chain([]),
            Ledger(),
            Snapshot.of(DEFAULT_POLICY, NodeState(name="n")),
            self,  # type: ignore[arg-type]  # an observer that notes its calls
            changed=self.changed.append,
        )

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, arguments[-1]))

    def send(self, method: str, message: Any) -> None:
        answer = self.handler.handle(method, message.SerializeToString())
        if answer.settle is not None:
            answer.settle()

    def lives(self) -> None:
        self.send("RunPodSandbox", api.RunPodSandboxRequest(pod=POD))
        self.send("CreateContainer", api.CreateContainerRequest(pod=POD, container=CONTAINER))


def test_a_pod_is_known_from_its_sandbox_on_and_its_files_follow() -> None:
    heard = Heard()
    heard.send("RunPodSandbox", api.RunPodSandboxRequest(pod=POD))
    assert heard.handler.ledger.counts() == (1, 0)
    assert heard.changed == ["p1"]


def test_a_container_that_ends_stays_known_until_it_is_removed() -> None:
    heard = Heard()
    heard.lives()
    heard.send("StartContainer", api.StartContainerRequest(pod=POD, container=CONTAINER))
    heard.send("StopContainer", api.StopContainerRequest(pod=POD, container=CONTAINER))
    entry = heard.handler.ledger.container("c1")
    assert entry is not None
    assert (entry.started, entry.ended) == (True, True)
    heard.send("RemoveContainer", api.RemoveContainerRequest(pod=POD, container=CONTAINER))
    assert heard.handler.ledger.counts() == (1, 0)
    assert heard.handler.life.never_started == 0


@pytest.mark.parametrize("method", ["StopPodSandbox", "RemovePodSandbox"])
def test_a_pod_ends_with_its_containers_and_what_never_started_is_reported(method: str) -> None:
    heard = Heard()
    heard.lives()
    request = api.StopPodSandboxRequest if method == "StopPodSandbox" else api.RemovePodSandboxRequest
    heard.send(method, request(pod=POD))
    assert heard.handler.ledger.counts() == (0, 0)
    assert heard.handler.life.never_started == 1
    assert [name for name, _ in heard.calls if name == "never_started"] == ["never_started"]


def test_older_runtimes_report_the_same_by_state_changes() -> None:
    heard = Heard()
    heard.send("StateChange", api.StateChangeEvent(event=int(NRIEvent.RUN_POD_SANDBOX), pod=POD))
    assert heard.handler.ledger.counts() == (1, 0)
    heard.send("StateChange", api.StateChangeEvent(event=int(NRIEvent.POST_CREATE_CONTAINER), pod=POD))
    heard.send("StateChange", api.StateChangeEvent(event=int(NRIEvent.REMOVE_POD_SANDBOX), pod=POD))
    assert heard.handler.ledger.counts() == (0, 0)
