"""The two ways to change what a runtime has stored, against the embedded runtime and against one that misbehaves by script."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from koordnri.model import NodeState, Setting, fields
from koordnri.model.cpuset import CPUSet
from koordnri.model.fields import Field
from koordnri.model.routes import REPLY
from koordnri.reconcile.plan import Update
from koordnri.reconcile.recorder import Overran, PushFailed, RuntimeAway
from koordnri.runtime import KernelLimits, Runtime
from koordnri.session.pushes import Resync, Unsolicited
from koordnri.session.registration import State
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version, nri_version
from tests.session.scripted_runtime import ScriptedRuntime
from tests.session.subject import Subject, connected
from tests.support.messages import container, pod

NODE = NodeState()
OLD, NEW = Version(0, 6, 1), Version(0, 12, 2)
FOUR_CPUS = KernelLimits(cpus=CPUSet.parse("0-3"))
WAIT_S = 10.0


def update(container_id: str, field: Field = fields.CPU_QUOTA, value: Any = 7000) -> Update:
    return Update(container_id, "p1", (Setting(field, "", value, "", "", REPLY),))


def quota(runtime: Runtime, container_id: str) -> int:
    return runtime.containers[container_id].spec.linux.resources.cpu.quota.value


def unsolicited(subject: Subject) -> Unsolicited:
    return Unsolicited(subject.calls, lambda: NODE)


def preload(runtime: Runtime, count: int = 3) -> None:
    """Containers that run, known to a plugin that is synchronized: it has answered an event since."""
    runtime.run_pod_sandbox(pod("probe"))
    runtime.preload([pod()], [container(f"c{i}", state=api.CONTAINER_RUNNING) for i in range(count)])


# -- which suits the runtime ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "reported", "route"),
    [
        ("containerd", "v1.7.13", "", "reply"),  # 0.4.0: a registration can freeze it
        ("containerd", "v1.7.15", "", "reply"),  # 0.6.0
        ("containerd", "v1.7.16", "", "resync"),
        ("containerd", "v1.7.24", "", "resync"),
        ("containerd", "v1.7.26", "", "reply"),  # 0.8.0: a registration waits for graceful stops
        ("v2", "v2.0.1", "", "reply"),
        ("containerd", "v2.1.9", "", "reply"),
        ("containerd", "v2.3.0", "v0.12.0", "reply"),
        ("containerd", "v2.4.0", "v0.12.1", "unsolicited"),
        ("containerd", "v2.4.0", "v0.12.5", "unsolicited"),
        ("containerd", "v2.4.0", "(devel)", "unsolicited"),
        ("cri-o", "1.31.2", "", "reply"),
        ("cri-o", "1.36.0", "", "reply"),
        ("something", "1.0", "", "reply"),
        ("", "", "", "reply"),
    ],
)
def test_auto_takes_what_cannot_stall_this_runtime(name, version, reported, route):
    assert RuntimeInfo(name, version, nri_version(name, version, reported)).record_route == route


# -- UpdateContainers -------------------------------------------------------------------------------------------------


def test_an_unsolicited_update_is_stored(tmp_path: Path) -> None:
    with connected(tmp_path, version=NEW) as (runtime, subject):
        preload(runtime)
        assert unsolicited(subject)([update("c0"), update("c2")], WAIT_S) == set()
        assert [quota(runtime, f"c{i}") for i in range(3)] == [7000, 0, 7000]
        assert subject.session.state is State.SYNCHRONIZED


def test_calls_from_several_threads_get_their_own_answers(tmp_path: Path) -> None:
    with connected(tmp_path, version=NEW) as (runtime, subject):
        preload(runtime, 8)
        failures: list[BaseException] = []

        def call(i: int) -> None:
            try:
                for quota_us in range(1000, 1020):
                    assert unsolicited(subject)([update(f"c{i}", value=quota_us)], WAIT_S) == set()
            except BaseException as error:  # noqa: BLE001  # shown by the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        assert failures == []
        assert {quota(runtime, f"c{i}") for i in range(8)} == {1019}


def test_an_error_of_the_runtime_does_not_say_which_failed(tmp_path: Path) -> None:
    with connected(tmp_path, version=NEW) as (runtime, subject):
        preload(runtime)
        runtime.kernel = FOUR_CPUS
        with pytest.raises(PushFailed, match=r"UpdateContainers: .*some containers failed"):
            unsolicited(subject)([update("c0"), update("c1", fields.CPU_CPUS, "7")], WAIT_S)
        assert quota(runtime, "c0") == 7000
        assert subject.session.state is State.SYNCHRONIZED


def scripted(tmp_path: Path, act: Callable[[Any, Any], None], deadline_s: float = WAIT_S) -> set[str]:
    """What a push comes to when the runtime does `act` with its link and the request."""
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri") as subject:
        link = runtime.accept()
        link.answer_registration()
        link.configure(runtime_name="containerd", runtime_version="v2.4.0", NRI_version="v0.12.2")
        link.synchronize(pods=[pod()], containers=[container("c0")])
        link.call("RunPodSandbox", api.RunPodSandboxRequest(pod=pod()))  # once it is answered, it is synchronized
        outcome: list[Any] = []

        def push() -> None:
            try:
                outcome.append(unsolicited(subject)([update("c0")], deadline_s))
            except Exception as error:  # noqa: BLE001  # raised again below
                outcome.append(error)

        thread = threading.Thread(target=push)
        thread.start()
        request = link.next()
        assert request.method == "UpdateContainers"
        act(link, request)
        thread.join(2 * WAIT_S)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return set(outcome[0])


def test_the_list_of_what_failed_is_read(tmp_path: Path) -> None:
    def act(link: Any, request: Any) -> None:
        reported = api.UpdateContainersRequest.FromString(request.payload)
        assert [u.ignore_failure for u in reported.update] == [False], "else a failure would not be reported"
        answer = api.UpdateContainersResponse(failed=[api.ContainerUpdate(container_id="c0")])
        link.socket.sendall(link.connection.reply(request, answer))

    assert scripted(tmp_path, act) == {"c0"}


def test_no_answer_is_an_overrun_and_a_late_one_is_ignored(tmp_path: Path) -> None:
    late: list[tuple[Any, Any]] = []
    with pytest.raises(Overran, match=r"no answer to UpdateContainers within 0\.2 s"):
        scripted(tmp_path, lambda link, request: late.append((link, request)), deadline_s=0.2)


def test_a_connection_that_ends_meanwhile_is_a_failure_at_once(tmp_path: Path) -> None:
    with pytest.raises(PushFailed, match="the connection ended before the answer"):
        scripted(tmp_path, lambda link, request: link.socket.close())


def test_an_undecodable_answer_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(PushFailed, match="undecodable"):
        scripted(tmp_path, lambda link, request: link.socket.sendall(link.connection.reply(request, b"\xff\xff")))


def test_without_a_registration_nothing_can_be_pushed(tmp_path: Path) -> None:
    with Subject(tmp_path / "nobody") as subject, pytest.raises(RuntimeAway, match=r"not registered"):
        unsolicited(subject)([update("c0")], WAIT_S)


# -- a second registration --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [OLD, Version(0, 8, 0), NEW], ids=str)
def test_a_second_registration_carries_updates_and_a_third_proves_them(tmp_path: Path, version: Version) -> None:
    with connected(tmp_path, version=version) as (runtime, subject):
        preload(runtime)
        push = Resync(str(tmp_path / "nri"), lambda: NODE)
        assert push([update("c0"), update("c1")], WAIT_S) == set()
        assert [quota(runtime, f"c{i}") for i in range(3)] == [7000, 7000, 0]
        assert subject.session.state is State.SYNCHRONIZED
        assert subject.session.stats.registrations == 1
        assert push([update("c0", value=8000)], WAIT_S) == set(), "and again, under the same names"
        assert quota(runtime, "c0") == 8000


def test_what_the_runtime_did_not_store_is_found_out(tmp_path: Path) -> None:
    with connected(tmp_path, version=OLD) as (runtime, _):
        preload(runtime)
        runtime.kernel = FOUR_CPUS
        refused = Resync(str(tmp_path / "nri"), lambda: NODE)(
            [update("c0"), update("c1", fields.CPU_CPUS, "7")], WAIT_S
        )
        assert refused == {"c1"}


def test_a_container_that_is_gone_meanwhile_is_not_refused(tmp_path: Path) -> None:
    with connected(tmp_path, version=OLD) as (runtime, _):
        preload(runtime, 1)
        assert Resync(str(tmp_path / "nri"), lambda: NODE)([update("gone")], WAIT_S) == set()


def test_a_list_in_parts_is_put_together(tmp_path: Path) -> None:
    with connected(tmp_path, version=NEW) as (runtime, _):
        big = {"pad": "x" * 400_000}
        runtime.preload([pod()], [container(f"c{i}", annotations=big, state=api.CONTAINER_RUNNING) for i in range(20)])
        assert Resync(str(tmp_path / "nri"), lambda: NODE)([update(f"c{i}") for i in range(20)], WAIT_S) == set()
        assert {quota(runtime, f"c{i}") for i in range(20)} == {7000}


def test_a_runtime_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeAway, match="cannot connect"):
        Resync(str(tmp_path / "nobody"), lambda: NODE)([update("c0")], WAIT_S)


def test_a_bug_in_the_thread_of_a_registration_reaches_whoever_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the push would overrun, and its route be off until the daemon restarts."""

    def broken(*_: Any) -> Version:
        raise ZeroDivisionError("a bug")

    with connected(tmp_path, version=OLD) as (runtime, _):
        preload(runtime)
        monkeypatch.setattr("koordnri.session.pushes.nri_version", broken)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            Resync(str(tmp_path / "nri"), lambda: NODE)([update("c0")], WAIT_S)


def test_a_runtime_that_refuses_the_registration_is_a_failure(tmp_path: Path) -> None:
    with ScriptedRuntime(tmp_path / "nri") as runtime:
        refusing = threading.Thread(target=lambda: runtime.accept().answer_registration("not you"), daemon=True)
        refusing.start()
        with pytest.raises(PushFailed, match="not you"):
            Resync(str(tmp_path / "nri"), lambda: NODE)([update("c0")], WAIT_S)
        refusing.join(WAIT_S)


def test_a_runtime_that_never_synchronizes_us_is_an_overrun(tmp_path: Path) -> None:
    with (
        ScriptedRuntime(tmp_path / "nri"),
        pytest.raises(Overran, match="koordnri-push-a was not synchronized in time"),
    ):
        Resync(str(tmp_path / "nri"), lambda: NODE)([update("c0")], 0.2)


def test_nothing_is_subscribed_to_but_one_harmless_event(tmp_path: Path) -> None:
    """0 would mean all of them."""
    with ScriptedRuntime(tmp_path / "nri") as runtime:
        reported: list[api.ConfigureResponse] = []
        registered: list[api.RegisterPluginRequest] = []

        def serve() -> None:
            for updates in (1, 0):
                link = runtime.accept()
                registered.append(link.answer_registration())
                reported.append(link.configure(runtime_name="containerd", runtime_version="v1.7.24"))
                answer = link.synchronize(pods=[pod()], containers=[container("c1")])
                assert len(answer.update) == updates
                assert all(u.ignore_failure for u in answer.update)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        Resync(str(tmp_path / "nri"), lambda: NODE)([update("c0")], WAIT_S)
        serving.join(WAIT_S)
        assert [(r.plugin_name, r.plugin_idx) for r in registered] == [
            ("koordnri-push-a", "99"),
            ("koordnri-push-b", "99"),
        ]
        assert {r.events for r in reported} == {1 << (api.REMOVE_POD_SANDBOX - 1)}
