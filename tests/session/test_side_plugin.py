"""A small plugin beside the daemon: registration, events, errors and the end, against the embedded runtime."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from koordnri.runtime import LATEST, Runtime
from koordnri.runtime.errors import CRIError
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.session.side_plugin import Refusal, SidePlugin
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import NRIEvent
from koordnri.wire.versions import Version
from tests.session.scripted_runtime import ScriptedRuntime
from tests.session.subject import Log
from tests.support.messages import container, pod
from tests.support.waiting import eventually

EVENTS = (NRIEvent.RUN_POD_SANDBOX, NRIEvent.CREATE_CONTAINER, NRIEvent.START_CONTAINER)


class Handler:
    """Keeps what it gets; adds an environment variable at creation; fails as a test asks for it."""

    def __init__(self) -> None:
        self.got: list[tuple[NRIEvent, str, float]] = []
        self.error: Exception | None = None

    def __call__(self, event: NRIEvent, message: Any, runtime: RuntimeInfo) -> Message | None:
        self.got.append((event, message.pod.id, runtime.request_timeout_s))
        if self.error is not None:
            raise self.error
        if event is not NRIEvent.CREATE_CONTAINER:
            return None
        answer = api.CreateContainerResponse()
        answer.adjust.env.add(key="BESIDE", value="yes")
        return answer


@contextmanager
def running(path: Path, handler: Handler, log: Log) -> Iterator[SidePlugin]:
    plugin = SidePlugin("beside", "20", EVENTS, handler, log)  # type: ignore[arg-type]  # the log has what is used
    thread = threading.Thread(target=plugin.run, args=(str(path),))
    thread.start()
    try:
        yield plugin
    finally:
        plugin.stop()
        thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("version", [Version(0, 6, 1), LATEST])
def test_it_gets_the_events_that_it_wants_and_its_answers_count(tmp_path: Path, version: Version) -> None:
    handler = Handler()
    with Runtime(tmp_path / "nri", version) as runtime, running(tmp_path / "nri", handler, Log()):
        assert runtime.wait_for_plugin().full_name == "20-beside"
        runtime.run_pod_sandbox(pod("p1"))
        assert "BESIDE=yes" in runtime.create_container("p1", container("c1")).spec.env
        runtime.start_container("c1")
        runtime.stop_container("c1")
        assert [(event, pod_id) for event, pod_id, _ in handler.got] == [(event, "p1") for event in EVENTS]
        assert {timeout_s for *_, timeout_s in handler.got} == {2.0}


def test_a_refusal_fails_the_request_and_nothing_else(tmp_path: Path) -> None:
    handler = Handler()
    with Runtime(tmp_path / "nri") as runtime, running(tmp_path / "nri", handler, Log()):
        runtime.wait_for_plugin()
        runtime.run_pod_sandbox(pod("p1"))
        handler.error = Refusal("not this one")
        with pytest.raises(CRIError, match="not this one"):
            runtime.create_container("p1", container("c1"))
        handler.error = None
        assert "BESIDE=yes" in runtime.create_container("p1", container("c2")).spec.env


def test_a_bug_in_the_handler_fails_no_pod(tmp_path: Path) -> None:
    handler, log = Handler(), Log()
    handler.error = KeyError("bug")
    with Runtime(tmp_path / "nri") as runtime, running(tmp_path / "nri", handler, log):
        runtime.wait_for_plugin()
        runtime.run_pod_sandbox(pod("p1"))
        assert log.wait_for("event_failed")["error"] == "KeyError: 'bug'"
        assert [plugin.full_name for plugin in runtime.plugins] == ["20-beside"]


def test_it_waits_for_the_runtime_and_comes_back_after_a_restart(tmp_path: Path) -> None:
    handler, log = Handler(), Log()
    with running(tmp_path / "nri", handler, log):
        log.wait_for("not_connected")
        with Runtime(tmp_path / "nri") as runtime:
            runtime.wait_for_plugin(20)
            runtime.restart()
            eventually(lambda: len(runtime.plugins) == 1, "the plugin to register again")
            runtime.run_pod_sandbox(pod("p1"))
    assert [pod_id for _, pod_id, _ in handler.got] == ["p1"]


def test_a_refused_registration_is_logged(tmp_path: Path) -> None:
    log = Log()
    with ScriptedRuntime(tmp_path / "nri") as runtime, running(tmp_path / "nri", Handler(), log):
        runtime.accept().answer_registration(refusal="no such index")
        assert log.wait_for("registration_refused")["error"] == "no such index"
