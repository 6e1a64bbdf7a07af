"""The plugin side: the handshake, Configure, Synchronize and the end (nri.md 3), against the embedded runtime and a scripted one."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from koordnri.model.container import Event
from koordnri.runtime import LATEST, Runtime
from koordnri.session.handler import EventHandler
from koordnri.session.identity import Identity
from koordnri.session.registration import State
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import NRIEvent
from koordnri.wire.ttrpc import DEFAULT_MAX_RECEIVED_BYTES
from koordnri.wire.versions import Version, valid_event_mask
from tests.session.scripted_runtime import Link, ScriptedRuntime
from tests.session.subject import (
    OLD,
    Pauses,
    Subject,
    connected,
    cpus_of,
    hang_up_after_configure,
    hang_up_after_registration,
    hang_up_before_registration,
    hang_up_in_an_event,
    hang_up_in_synchronize,
    hook,
    pins,
)
from tests.support.messages import container, pod
from tests.support.waiting import PATIENCE_S

# -- registration (13, 14, 27, 28) --------------------------------------------------------------------------------------


def test_it_registers_with_its_name_and_index(tmp_path: Path) -> None:
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", identity=Identity("q", "07")):
        request = runtime.accept().answer_registration()
        assert (request.plugin_name, request.plugin_idx) == ("q", "07")
        assert request.NRI_version == "v0.12.5"


def test_it_waits_for_a_socket_that_is_not_there_yet(tmp_path: Path) -> None:
    with Subject(tmp_path / "nri") as subject:
        subject.log.wait_for("runtime_not_there")
        assert "cannot connect to" in subject.session.problem
        with Runtime(tmp_path / "nri") as runtime:
            assert runtime.wait_for_plugin().full_name == "10-koordnri"


def test_a_refused_registration_is_hung_up_and_tried_again(tmp_path: Path) -> None:
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri") as subject:
        first = runtime.accept()
        first.answer_registration(refusal="not you")
        assert first.next() is None
        assert subject.log.wait_for("registration_refused")["error"] == "not you"
        assert subject.log.wait_for("connection_lost")["reason"] == "registration refused: not you"
        runtime.accept().shake_hands()


def test_configure_may_come_before_the_answer_to_register_plugin(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        release = runtime.faults.hold_replies["RegisterPlugin"] = threading.Event()
        with Subject(tmp_path / "nri", pins()) as subject:
            runtime.wait_for_plugin()
            release.set()
            runtime.run_pod_sandbox(pod())
            runtime.create_container("p1", container())
            assert cpus_of(runtime) == "2-3"
            assert subject.session.stats.registrations == 1


def break_the_protocol(link: Link) -> None:
    link.shake_hands()
    link.socket.sendall(b"\0\0\0\x01\xff\xff\xff\xff")
    assert link.next() is None


@pytest.mark.parametrize(
    "lose",
    [
        hang_up_before_registration,
        hang_up_after_registration,
        hang_up_after_configure,
        hang_up_in_synchronize,
        hang_up_in_an_event,
        break_the_protocol,
    ],
)
def test_after_a_loss_there_is_a_whole_new_handshake_and_only_one_connection(
    tmp_path: Path, lose: Callable[[Link], None]
) -> None:
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri") as subject:
        first = runtime.accept()
        lose(first)
        second = runtime.accept()
        if first.socket.fileno() >= 0:
            assert first.at_end(), "a second connection was made while the first was alive"
        second.answer_registration()
        second.configure(runtime_name="containerd", runtime_version="v2.4.0", NRI_version="v0.12.2")
        second.synchronize(pods=[pod("found")])
        assert second.call("RunPodSandbox", api.RunPodSandboxRequest(pod=pod())).code == 0
        assert subject.session.state is State.SYNCHRONIZED
        assert subject.session.problem == ""
        # What the first connection had reported by halves is forgotten.
        assert subject.ledger.pod("found") is not None
        assert subject.ledger.pod("lost") is None


def test_a_restart_of_the_runtime_is_survived(tmp_path: Path) -> None:
    with connected(tmp_path, pins()) as (runtime, subject):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container())
        runtime.restart()
        runtime.wait_for_plugin(nth=2)
        assert len(runtime.plugins) == 1
        runtime.create_container("p1", container("c2"))
        assert cpus_of(runtime, "c2") == "2-3"
        assert subject.session.stats.connections_lost == 1


# -- configure (16, 17) -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [Version(0, 3, 0), OLD, Version(0, 8, 0), Version(0, 10, 0), LATEST], ids=str)
def test_it_subscribes_to_what_it_handles_and_this_runtime_knows(tmp_path: Path, version: Version) -> None:
    with connected(tmp_path, version=version, timeout_s=3.0) as (runtime, subject):
        (peer,) = runtime.plugins
        assert peer.events
        assert not peer.events & ~valid_event_mask(version)
        assert peer.events & NRIEvent.CREATE_CONTAINER.bit
        assert not peer.events & NRIEvent.VALIDATE_CONTAINER_ADJUSTMENT.bit
        reported = subject.handler.runtime
        assert (reported.name, reported.version, reported.nri) == ("containerd", runtime.identity.version, version)
        assert reported.request_timeout_s == pytest.approx(3.0, abs=0.1)


def test_without_reported_timeouts_the_defaults_count(tmp_path: Path) -> None:
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri") as subject:
        link = runtime.accept()
        link.answer_registration()
        link.configure(runtime_name="containerd", runtime_version="1.7.24~ds1")
        assert subject.handler.runtime.request_timeout_s == 2.0
        assert subject.handler.runtime.nri == OLD


def test_the_configuration_text_is_handed_on(tmp_path: Path) -> None:
    texts: list[str] = []
    with (
        ScriptedRuntime(tmp_path / "nri") as runtime,
        Subject(tmp_path / "nri", on_config=texts.append),
    ):
        runtime.accept().shake_hands(config="a: policy")
        assert texts == ["a: policy"]


# -- synchronize (18, 19) -----------------------------------------------------------------------------------------------


def test_containers_that_differ_are_asked_for_in_the_reply(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        runtime.preload([pod()], [container("c1"), container("c2")])
        runtime.containers["c2"].spec.linux.resources.cpu.cpus = "2-3"
        with Subject(tmp_path / "nri", pins()) as subject:
            runtime.wait_for_plugin()
            runtime.run_pod_sandbox(pod("p2"))  # Synchronize is settled before it is looked at
            assert [cpus_of(runtime, c) for c in ("c1", "c2")] == ["2-3", "2-3"]
            assert subject.observer.decided_ids == [("sync", "c1"), ("sync", "c2")]


def test_parts_are_put_together_in_order_and_handled_once(tmp_path: Path) -> None:
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", pins()) as subject:
        link = runtime.accept()
        link.answer_registration()
        link.configure(runtime_name="containerd", runtime_version="v2.4.0", NRI_version="v0.12.2")
        # A part may bring containers of a pod that comes later, and may be empty of one kind.
        for part in (
            {"containers": [container("c1", "p2")]},
            {"pods": [pod("p1")]},
            {"pods": [pod("p2")], "containers": [container("c2", "p1")]},
        ):
            assert link.synchronize(more=True, **part) == api.SynchronizeResponse(more=True)
        assert subject.session.state is State.CONFIGURED
        assert subject.observer.decided_ids == []
        last = link.synchronize(containers=[container("c3", "p2")])
        assert not last.more
        assert [u.container_id for u in last.update] == ["c1", "c2", "c3"]
        assert all(u.linux.resources.cpu.cpus == "2-3" and u.ignore_failure for u in last.update)
        assert link.call("RunPodSandbox", api.RunPodSandboxRequest(pod=pod())).code == 0
        assert subject.observer.decided_ids == [("sync", "c1"), ("sync", "c2"), ("sync", "c3")]


def test_a_split_synchronize_of_the_embedded_runtime(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri", request_timeout_s=PATIENCE_S) as runtime:
        runtime.preload([pod()], [container(f"c{i}", annotations={"pad": "x" * 400_000}) for i in range(30)])
        with Subject(tmp_path / "nri", pins()):
            runtime.wait_for_plugin()
            # The whole node waits for the updates of this reply: a handful goes with it, the rest the reconciler's way.
            assert Counter(cpus_of(runtime, f"c{i}") for i in range(30)) == {"2-3": 5, "": 25}


# -- a runtime that forgets us (28) -------------------------------------------------------------------------------------


def test_a_message_that_is_too_large_to_be_held_ends_the_connection_and_is_reported(tmp_path: Path) -> None:
    reported: list[str] = []
    large = api.SynchronizeRequest(containers=[container(env=["BIG=" + "x" * DEFAULT_MAX_RECEIVED_BYTES])])
    with (
        ScriptedRuntime(tmp_path / "nri") as runtime,
        Subject(tmp_path / "nri", pause=Pauses(), on_braked=reported.append) as subject,
    ):
        for _ in range(3):
            link = runtime.accept()
            link.answer_registration()
            link.configure(runtime_name="containerd", runtime_version="1.7.24")
            with suppress(ConnectionError):  # it hangs up before it has read all
                link.send_whole("Synchronize", large)
            link.close()
        assert subject.log.wait_for("registration_braked")
    (problem,) = reported
    assert f"bytes of data, expected at most {DEFAULT_MAX_RECEIVED_BYTES}" in problem


class Clock:
    """Seconds that pass only when somebody says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Patient(EventHandler):
    """Never answered for by the watchdog, whatever the clock says."""

    def budget_s(self) -> float:
        return 1.0 if self.inflight is None else 1e9


@pytest.mark.parametrize(
    ("version", "took_s", "registrations"), [(OLD, 1.9, 2), (OLD, 0.5, 1), (Version(0, 8, 0), 1.9, 1)]
)
def test_after_a_late_synchronize_an_old_runtime_is_left_and_found_again(
    tmp_path: Path, version: Version, took_s: float, registrations: int
) -> None:
    clock = Clock()

    def dawdle(ctx: Any) -> None:
        if ctx.event is Event.SYNC and clock.now_s == 0:
            clock.now_s += took_s

    slow = hook("slow", 1, (), dawdle)
    with Runtime(tmp_path / "nri", version) as runtime:
        runtime.preload([pod()], [container()])
        with Subject(tmp_path / "nri", slow, handler=Patient, monotonic=clock) as subject:
            runtime.wait_for_plugin(nth=registrations)
            runtime.run_pod_sandbox(pod("p2"))
            assert subject.session.stats.registrations == registrations
            assert len(runtime.plugins) == 1


# -- the end ------------------------------------------------------------------------------------------------------------


def test_stop_ends_the_session_and_the_connection(tmp_path: Path) -> None:
    with connected(tmp_path) as (runtime, subject):
        (peer,) = runtime.plugins
        subject.session.stop()
        assert subject.ended()
        peer.join()
        assert subject.session.state is State.STOPPED


def test_stop_ends_a_session_that_is_not_connected(tmp_path: Path) -> None:
    with Subject(tmp_path / "nri") as subject:
        subject.log.wait_for("runtime_not_there")
        subject.session.stop()
        assert subject.ended()


def test_a_launched_plugin_ends_with_the_connection_that_it_was_given(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    link = Link(ours)
    identity = Identity("koordnri", "10", theirs.detach())
    with Subject(tmp_path / "nowhere", pins(), identity=identity) as subject:
        link.shake_hands()
        response = link.call("CreateContainer", api.CreateContainerRequest(pod=pod(), container=container()))
        assert api.CreateContainerResponse.FromString(response.payload).adjust.linux.resources.cpu.cpus == "2-3"
        link.close()
        assert subject.ended()
        assert subject.session.state is State.STOPPED


def test_a_launched_plugin_of_an_old_runtime_is_ready_without_synchronize(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    link = Link(ours)
    with Subject(tmp_path / "nowhere", identity=Identity("koordnri", "10", theirs.detach())) as subject:
        link.answer_registration()
        link.configure(runtime_name="containerd", runtime_version="v1.7.20")
        assert link.call("StateChange", api.StateChangeEvent(event=api.RUN_POD_SANDBOX, pod=pod())).code == 0
        assert subject.session.state is State.SYNCHRONIZED
        link.close()
