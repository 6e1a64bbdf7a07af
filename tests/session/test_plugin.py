"""The plugin side: the handshake, events and errors of nri.md 3, against the embedded runtime and against one that misbehaves by script."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from koordnri.chain import Chain, Snapshot
from koordnri.hook import Hook
from koordnri.model import NodeState, fields
from koordnri.model.container import Event
from koordnri.model.resources import BASELINE_KEY
from koordnri.policy import DEFAULT_POLICY, Policy, load_policy, resolve
from koordnri.runtime import LATEST, CRIError, Runtime
from koordnri.session.answer import Answer
from koordnri.session.calls import Calls
from koordnri.session.handler import EventHandler
from koordnri.session.identity import Identity, IdentityError, launched_by_runtime
from koordnri.session.plugin import PluginSession
from koordnri.session.registration import State
from koordnri.state.ledger import Ledger
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply
from koordnri.wire.events import NRIEvent
from koordnri.wire.services import PLUGIN_METHODS
from koordnri.wire.ttrpc import DEFAULT_MAX_RECEIVED_BYTES
from koordnri.wire.versions import Version, valid_event_mask
from tests.session.scripted_runtime import METHODS, Link, Raw, ScriptedRuntime
from tests.support.messages import container, pod
from tests.support.waiting import PATIENCE_S

WAIT_S = 10.0
OLD = Version(0, 6, 1)


class Log:
    """Keeps what is logged, and lets one wait for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self._more = threading.Condition()

    def info(self, event: str, **keys: Any) -> None:
        with self._more:
            self.lines.append((event, keys))
            self._more.notify_all()

    warning = error = info

    def wait_for(self, event: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((keys for name, keys in self.lines if name == event), None)

        with self._more:
            assert self._more.wait_for(lambda: found() is not None, WAIT_S), f"{event} was not logged: {self.lines}"
            return found() or {}


class Observer:
    """Keeps who was decided."""

    def __init__(self) -> None:
        self.decided_ids: list[tuple[str, str]] = []

    def decided(self, pod: Any, container: Any, event: Event, decision: Any) -> None:
        self.decided_ids.append((event.value, container.id))

    def refused(self, pod: Any, container: Any, event: Event, decision: Any) -> None:
        self.decided_ids.append(("refused", container.id))

    def never_started(self, pod: Any, entry: Any) -> None:
        self.decided_ids.append(("never started", entry.id))


def hook(name: str, order: int, owns: tuple[Any, ...], decide: Callable[[Any], None]) -> Hook:
    """A hook that does what the function does."""
    return type(name, (Hook,), {"name": name, "order": order, "owns": owns, "decide": lambda self, ctx: decide(ctx)})()


def pins(cpus: str = "2-3") -> Hook:
    """A hook that gives every container the same CPUs."""
    return hook("pins", 1, (fields.CPU_CPUS,), lambda ctx: ctx.set(fields.CPU_CPUS, cpus, "a test"))


class Subject:
    """A session in a thread, and all that it works with."""

    def __init__(
        self,
        path: Path,
        *hooks: Hook,
        identity: Identity | None = None,
        policy: Policy = DEFAULT_POLICY,
        handler: type[EventHandler] = EventHandler,
        **options: Any,
    ) -> None:
        self.log, self.observer, self.ledger = Log(), Observer(), Ledger()
        self.chain = Chain(hooks)
        self.handler = handler(self.chain, self.ledger, Snapshot.of(policy, NodeState()), self.observer)
        self.calls = Calls()
        self.session = PluginSession(
            identity or Identity("koordnri", "10"), str(path), self.handler, self.log, calls=self.calls, **options
        )
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.session.run()
        except BaseException as error:  # noqa: BLE001  # raised again in the test's own thread
            self.failure = error

    def ended(self) -> bool:
        """Whether `run` returns, of itself or because it was stopped."""
        self.thread.join(WAIT_S)
        return not self.thread.is_alive()

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.stop()
        assert self.ended(), "the session does not end"
        if self.failure is not None:
            raise self.failure


@contextmanager
def connected(
    path: Path, *hooks: Hook, version: Version = LATEST, timeout_s: float = 10.0, **options: Any
) -> Iterator[tuple[Runtime, Subject]]:
    """A session that is synchronized with an embedded runtime."""
    runtime = Runtime(path / "nri", version, request_timeout_s=timeout_s)
    with runtime, Subject(path / "nri", *hooks, **options) as subject:
        runtime.wait_for_plugin()
        yield runtime, subject


def cpus_of(runtime: Runtime, container_id: str = "c1") -> str:
    return runtime.containers[container_id].spec.linux.resources.cpu.cpus


# -- identity (13, 15) --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "index", "text"),
    [
        ("", "10", "plugin name: expected"),
        ("a b", "10", 'plugin name: expected .*, got "a b"'),
        ("koordnri", "5", 'plugin index: expected two digits such as 10, got "5"'),
        ("koordnri", "٠١", "plugin index"),
        ("koordnri", "100", "plugin index"),
    ],
)
def test_a_name_or_index_that_runtimes_refuse_is_refused_before(name: str, index: str, text: str) -> None:
    with pytest.raises(IdentityError, match=text):
        Identity(name, index)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"NRI_PLUGIN_NAME": "x", "NRI_PLUGIN_IDX": "07"}, None),
        ({"NRI_PLUGIN_NAME": "x", "NRI_PLUGIN_IDX": "07", "NRI_PLUGIN_SOCKET": "3"}, Identity("x", "07", 3)),
        ({"NRI_PLUGIN_IDX": "07", "NRI_PLUGIN_SOCKET": "3"}, "NRI_PLUGIN_NAME: expected beside NRI_PLUGIN_SOCKET"),
        ({"NRI_PLUGIN_NAME": "x", "NRI_PLUGIN_IDX": "07", "NRI_PLUGIN_SOCKET": "x"}, "expected the number of a file"),
    ],
)
def test_the_environment_of_a_launched_plugin(environment: dict[str, str], expected: Any) -> None:
    if isinstance(expected, str):
        with pytest.raises(IdentityError, match=expected):
            launched_by_runtime(environment)
    else:
        assert launched_by_runtime(environment) == expected


# -- registration (13, 14, 27, 28) --------------------------------------------------------------------------------------


def test_it_registers_with_its_name_and_index(tmp_path: Path) -> None:
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", identity=Identity("q", "07")):
        request = runtime.accept().answer_registration()
        assert (request.plugin_name, request.plugin_idx) == ("q", "07")


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


def hang_up_before_registration(link: Link) -> None:
    link.close()


def hang_up_after_registration(link: Link) -> None:
    link.answer_registration()
    link.close()


def hang_up_after_configure(link: Link) -> None:
    link.answer_registration()
    link.configure()
    link.close()


def hang_up_in_synchronize(link: Link) -> None:
    link.answer_registration()
    link.configure()
    link.synchronize(pods=[pod("lost")], more=True)
    link.close()


def hang_up_in_an_event(link: Link) -> None:
    link.shake_hands()
    _, frame = link.connection.call("CreateContainer", api.CreateContainerRequest(pod=pod(), container=container()))
    link.socket.sendall(frame[: len(frame) // 2])
    link.close()


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


# -- the brake ----------------------------------------------------------------------------------------------------------


class Pauses:
    """In place of waiting: keeps for how long, and goes on at once."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, stop: threading.Event, pause_s: float) -> None:
        self.seconds.append(pause_s)


def test_registrations_that_end_before_synchronize_put_the_brake_on_and_one_that_does_not_takes_it_off(
    tmp_path: Path,
) -> None:
    pauses, reported = Pauses(), list[str]()
    with (
        ScriptedRuntime(tmp_path / "nri") as runtime,
        Subject(tmp_path / "nri", pause=pauses, on_braked=reported.append) as subject,
    ):
        for _ in range(6):
            hang_up_in_synchronize(runtime.accept())
        link = runtime.accept()  # by now the last pause is over
        assert [round(s) for s in pauses.seconds[2:]] == [60, 300, 900, 900]
        assert all(s <= 2 for s in pauses.seconds[:2])
        assert len(reported) == 4
        assert reported[0].startswith("3 registrations in a row ended before Synchronize was done (closed by the")
        assert "1 parts, " in reported[0]
        assert "not trying again for 1 min" in reported[0]
        assert "for 15 min" in reported[3]
        assert subject.log.wait_for("registration_braked")["error"] == reported[0]

        link.shake_hands()
        link.call("RemovePodSandbox", api.RemovePodSandboxRequest())
        link.close()
        for _ in range(2):
            hang_up_after_configure(runtime.accept())
        runtime.accept().shake_hands()
        assert len(reported) == 4


def test_while_the_brake_is_on_the_session_says_why_and_can_be_stopped(tmp_path: Path) -> None:
    braked = threading.Event()

    def pause(stop: threading.Event, pause_s: float) -> None:
        if pause_s >= 60:
            braked.set()
            stop.wait()

    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", pause=pause) as subject:
        for _ in range(3):
            hang_up_after_configure(runtime.accept())
        assert braked.wait(WAIT_S)
        assert subject.session.problem.startswith("3 registrations in a row ended before Synchronize was done")
        assert subject.session.state is State.DISCONNECTED


@pytest.mark.parametrize("lose", [hang_up_before_registration, hang_up_after_registration])
def test_a_runtime_that_does_not_come_to_synchronize_does_not_put_the_brake_on(
    tmp_path: Path, lose: Callable[[Link], None]
) -> None:
    pauses = Pauses()
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", pause=pauses):
        for _ in range(5):
            lose(runtime.accept())
        runtime.accept().shake_hands()
    assert max(pauses.seconds) < 60


def test_a_runtime_that_cannot_split_what_runs_puts_the_brake_on(tmp_path: Path) -> None:
    """Upstream's manner, by the embedded runtime: eight large containers or fewer are never sent in smaller parts."""
    reported: list[str] = []
    with Runtime(tmp_path / "nri", request_timeout_s=PATIENCE_S) as runtime:
        runtime.run_pod_sandbox(pod())
        for n in range(4):
            large = container(f"c{n}", env=["BIG=" + "x" * 1_200_000])
            runtime.create_container("p1", large)
        with Subject(tmp_path / "nri", pause=Pauses(), on_braked=reported.append) as subject:
            assert subject.log.wait_for("registration_braked")
    assert reported[0].startswith("3 registrations in a row")


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


# -- events (20 - 25, 30) -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [OLD, Version(0, 8, 0), Version(0, 11, 0), LATEST], ids=str)
def test_events_have_the_same_effect_by_either_transport(tmp_path: Path, version: Version) -> None:
    with connected(tmp_path, pins(), version=version) as (runtime, subject):
        runtime.run_pod_sandbox(pod())
        state = runtime.create_container("p1", container())
        assert subject.ledger.pod("p1") is not None
        assert state.spec.linux.resources.cpu.cpus == "2-3"
        assert BASELINE_KEY in state.spec.annotations
        runtime.start_container("c1")
        runtime.update_container("c1", api.LinuxResources(cpu=api.LinuxCPU(cpus="7")))
        assert cpus_of(runtime) == "2-3"
        assert subject.ledger.container("c1") is not None
        runtime.remove_container("c1")
        runtime.run_pod_sandbox(pod("p2"))  # the one before is settled by now
        assert subject.ledger.container("c1") is None
        runtime.remove_pod_sandbox("p1")
        runtime.remove_pod_sandbox("p2")
        runtime.run_pod_sandbox(pod("p3"))
        assert subject.ledger.pod("p1") is None
        assert [c.error for c in runtime.calls if c.error] == []
        counted = {event for event, outcome in subject.session.stats.events if outcome == "ok"}
        assert counted >= {"RunPodSandbox", "CreateContainer", "UpdateContainer", "RemoveContainer", "RemovePodSandbox"}


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[tuple[Link, Subject]]:
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", pins()) as subject:
        link = runtime.accept()
        link.shake_hands()
        yield link, subject


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_the_protocol_is_answered_well(linked: tuple[Link, Subject], method: str) -> None:
    link, _ = linked
    reply = link.call(method, PLUGIN_METHODS[method].request())
    assert (reply.code, reply.text) == (0, "")


@pytest.mark.parametrize("event", [0, 12, 13, 14, 15, 99])
def test_an_unknown_state_change_is_answered_well(linked: tuple[Link, Subject], event: int) -> None:
    link, _ = linked
    reply = link.call("StateChange", api.StateChangeEvent(event=event, pod=pod()))
    assert (reply.code, reply.payload) == (0, b"")


def test_nothing_to_say_is_sent_as_no_bytes(linked: tuple[Link, Subject]) -> None:
    link, _ = linked
    assert link.call("RunPodSandbox", api.RunPodSandboxRequest(pod=pod())).payload == b""


@pytest.mark.parametrize("method", ["CreateContainer", "UpdateContainer", "StateChange", "RunPodSandbox"])
def test_an_undecodable_request_costs_that_request_only(linked: tuple[Link, Subject], method: str) -> None:
    link, subject = linked
    reply = link.call(method, Raw(b"\xff\xff"))
    assert reply.code == 3
    assert reply.text.startswith(f"{method}: cannot decode 2 bytes")
    assert subject.log.wait_for("undecodable_request")["method"] == method
    response = link.call("CreateContainer", api.CreateContainerRequest(pod=pod(), container=container()))
    assert api.CreateContainerResponse.FromString(response.payload).adjust.linux.resources.cpu.cpus == "2-3"
    assert subject.session.stats.events[(method, "undecodable")] == 1


class Broken(EventHandler):
    """Has a bug."""

    def handle(self, method: str, payload: bytes) -> Answer:
        if method == "CreateContainer":
            raise RuntimeError("a bug")
        return super().handle(method, payload)


def test_a_bug_costs_no_container(tmp_path: Path) -> None:
    with connected(tmp_path, pins(), handler=Broken) as (runtime, subject):
        runtime.run_pod_sandbox(pod())
        state = runtime.create_container("p1", container())
        assert state.adjust == api.ContainerAdjustment()
        assert subject.log.wait_for("event_failed") == {
            "method": "CreateContainer",
            "error": "RuntimeError: a bug",
            "exc_info": True,
        }
        runtime.remove_container("c1")
        assert subject.session.stats.events[("CreateContainer", "error")] == 1
        assert len(runtime.plugins) == 1


def test_a_hook_that_raises_costs_its_own_fields(tmp_path: Path) -> None:
    def fail(ctx: Any) -> None:
        raise ValueError("a bug")

    with connected(tmp_path, pins(), hook("broken", 2, (fields.CPU_SHARES,), fail)) as (runtime, _):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container())
        assert cpus_of(runtime) == "2-3"


def test_a_hook_with_the_policy_fail_refuses_the_container(tmp_path: Path) -> None:
    def fail(ctx: Any) -> None:
        raise ValueError("no GPU left")

    document = load_policy(
        'koordnri-config: \'{"clusterStrategy":{"hooks":{"strict":{"failurePolicy":"fail"}}}}\'', "a test"
    )
    strict = hook("strict", 2, (fields.CPU_SHARES,), fail)
    with connected(tmp_path, pins(), strict, policy=resolve(document, "node", {})) as (runtime, subject):
        runtime.run_pod_sandbox(pod())
        with pytest.raises(CRIError, match=r"koordnri: hook strict could not decide: .*no GPU left"):
            runtime.create_container("p1", container())
        assert runtime.containers == {}
        assert len(runtime.plugins) == 1
        runtime.run_pod_sandbox(pod("p2"))
        assert subject.session.stats.events[("CreateContainer", "refused")] == 1


def test_zero_is_set_and_not_left_out(tmp_path: Path) -> None:
    def zero(ctx: Any) -> None:
        ctx.set(fields.OOM_SCORE_ADJ, 0, "a test")
        ctx.set(fields.CPU_QUOTA, 0, "a test")

    zeros = hook("zeros", 1, (fields.OOM_SCORE_ADJ, fields.CPU_QUOTA), zero)
    with connected(tmp_path, zeros) as (runtime, _):
        runtime.run_pod_sandbox(pod())
        adjust = runtime.create_container("p1", container()).adjust
        assert adjust.linux.HasField("oom_score_adj")
        assert adjust.linux.resources.cpu.HasField("quota")
        assert not adjust.linux.resources.cpu.HasField("period")


def test_frames_in_single_bytes_are_frames(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        runtime.faults.trickle = True
        with Subject(tmp_path / "nri", pins()):
            runtime.wait_for_plugin()
            runtime.run_pod_sandbox(pod())
            runtime.create_container("p1", container())
            assert cpus_of(runtime) == "2-3"


# -- a hook that overruns -----------------------------------------------------------------------------------------------


class Stuck:
    """A hook that blocks on the containers that the test names, until released."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.entered, self.release = threading.Event(), threading.Event()
        self.hook = hook("stuck", 2, (fields.CPU_SHARES,), self._decide)

    def _decide(self, ctx: Any) -> None:
        if ctx.container.name in self.names:
            self.entered.set()
            assert self.release.wait(WAIT_S)
        ctx.set(fields.CPU_SHARES, 77, "a test")

    def __enter__(self) -> Stuck:
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()


def last_hook() -> Hook:
    return hook("last", 3, (fields.CPU_MEMS,), lambda ctx: ctx.set(fields.CPU_MEMS, "1", "a test"))


def shares_of(runtime: Runtime, container_id: str) -> int:
    return runtime.containers[container_id].spec.linux.resources.cpu.shares.value


def test_a_stuck_hook_costs_its_fields_and_the_next_event_is_served_meanwhile(tmp_path: Path) -> None:
    with (
        Stuck("c1") as stuck,
        connected(tmp_path, pins(), stuck.hook, last_hook(), timeout_s=2.0) as (runtime, subject),
    ):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container("c1"))
        assert cpus_of(runtime, "c1") == "2-3"
        assert shares_of(runtime, "c1") == 0
        assert BASELINE_KEY in runtime.containers["c1"].spec.annotations
        # The hook is still stuck; nobody waits for it.
        assert not stuck.release.is_set()
        runtime.create_container("p1", container("c2"))
        second = runtime.containers["c2"].spec.linux.resources.cpu
        assert (second.cpus, second.mems, second.shares.value) == ("2-3", "1", 0)
        assert len(runtime.plugins) == 1
        assert subject.session.stats.events[("CreateContainer", "late")] == 1
        # Once it lets go, it is asked again.
        stuck.release.set()
        deadline = threading.Event()
        for attempt in range(200):
            name = f"again{attempt}"
            runtime.create_container("p1", container(name))
            if shares_of(runtime, name) == 77:
                break
            deadline.wait(0.01)
        else:
            pytest.fail("the hook is never asked again")


def test_an_early_answer_that_cannot_be_made_is_an_empty_one(tmp_path: Path) -> None:
    with (
        Stuck("c1") as stuck,
        connected(tmp_path, pins(), stuck.hook, timeout_s=2.0) as (runtime, subject),
    ):
        subject.handler.chain.answer_early = lambda ctx: [][0]  # type: ignore[method-assign]  # a bug, for one test
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container("c1"))
        assert BASELINE_KEY not in runtime.containers["c1"].spec.annotations
        assert len(runtime.plugins) == 1
        assert subject.handler.ledger.creating == ""
        stuck.release.set()
        runtime.create_container("p1", container("c2"))
        assert BASELINE_KEY in runtime.containers["c2"].spec.annotations


def test_a_runtime_that_goes_while_a_hook_is_stuck_does_not_end_the_session(tmp_path: Path) -> None:
    with (
        ScriptedRuntime(tmp_path / "nri") as runtime,
        Stuck("c1") as stuck,
        Subject(tmp_path / "nri", stuck.hook) as subject,
    ):
        link = runtime.accept()
        link.shake_hands()
        link.send("CreateContainer", api.CreateContainerRequest(pod=pod(), container=container("c1")))
        assert stuck.entered.wait(WAIT_S)
        link.close()
        # Nobody reads, so only the watchdog's answer finds out that there is nobody to answer to.
        runtime.accept().shake_hands()
        assert subject.failure is None


def test_a_stuck_hook_does_not_cost_the_registration_at_synchronize(tmp_path: Path) -> None:
    with Stuck("c1") as stuck, Runtime(tmp_path / "nri", OLD, request_timeout_s=2.0) as runtime:
        runtime.preload([pod()], [container("c1"), container("c2")])
        with Subject(tmp_path / "nri", pins(), stuck.hook) as subject:
            runtime.wait_for_plugin()
            runtime.create_container("p1", container("c3"))
            assert cpus_of(runtime, "c3") == "2-3"
            assert subject.session.state is State.SYNCHRONIZED
            stuck.release.set()


def test_a_slow_policy_is_not_answered_for_by_a_subscription_to_everything(tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(_: str) -> None:
        assert go_on.wait(WAIT_S)

    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", on_config=slow):
        link = runtime.accept()
        link.answer_registration()
        link.send("Configure", api.ConfigureRequest(config="x", request_timeout=200, runtime_name="containerd"))
        link.socket.settimeout(1.0)
        with pytest.raises(TimeoutError):
            link.next()
        go_on.set()
        reply = link.next()
        assert isinstance(reply, Reply)
        assert api.ConfigureResponse.FromString(reply.payload).events != 0


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


def test_what_was_asked_before_the_stop_is_answered(tmp_path: Path) -> None:
    with Stuck("c1") as stuck, connected(tmp_path, pins(), stuck.hook, timeout_s=40.0) as (runtime, subject):
        runtime.run_pod_sandbox(pod())
        create = threading.Thread(target=runtime.create_container, args=("p1", container("c1")))
        create.start()
        assert stuck.entered.wait(WAIT_S)
        subject.session.stop()
        stuck.release.set()
        create.join(WAIT_S)
        assert cpus_of(runtime, "c1") == "2-3"
        assert shares_of(runtime, "c1") == 77
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
