"""Events: which come, in which order, by which transport, and what a plugin's misbehaviour costs (nri.md 3.4)."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from koordnri.runtime import LATEST, CRIError, Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import NRIEvent
from koordnri.wire.versions import Version
from tests.runtime.scripted_plugin import ALL_OLD, Do, ScriptedPlugin, Status, adjusting, quota, update
from tests.support.messages import container, pod

OLD = Version(0, 8, 0)
ENV = adjusting(env=[api.KeyValue(key="A", value="1")])


@contextmanager
def connected(
    path: Path,
    *scripts: dict[str, Any],
    version: Version = LATEST,
    name: str = "containerd",
    events: int = ALL_OLD,
    timeout_s: float = 10.0,
) -> Iterator[tuple[Runtime, list[ScriptedPlugin]]]:
    """A runtime with a plugin per script, at the indices 00, 01 …; what they have seen so far is passed over."""
    with Runtime(path / "nri", version, name, request_timeout_s=timeout_s) as runtime, ExitStack() as stack:
        plugins = []
        for i, script in enumerate(scripts):
            plugin = ScriptedPlugin(path / "nri", f"p{i}", f"{i:02}", events, script)
            plugins.append(stack.enter_context(plugin))
            runtime.wait_for_plugin(nth=i + 1)
            plugin.expect("Synchronize")
        yield runtime, plugins


def whole_life(runtime: Runtime) -> None:
    runtime.run_pod_sandbox(pod())
    runtime.create_container("p1", container())
    runtime.start_container("c1")
    runtime.update_container("c1", quota(50000))
    runtime.update_pod_sandbox("p1", quota(60000))
    runtime.stop_container("c1")
    runtime.remove_container("c1")
    runtime.stop_pod_sandbox("p1")
    runtime.remove_pod_sandbox("p1")


LIFE = [
    "RunPodSandbox",
    "CreateContainer",
    "PostCreateContainer",
    "StartContainer",
    "PostStartContainer",
    "UpdateContainer",
    "PostUpdateContainer",
    "UpdatePodSandbox",
    "PostUpdatePodSandbox",
    "StopContainer",
    "RemoveContainer",
    "StopPodSandbox",
    "RemovePodSandbox",
]
DIRECT = {"CreateContainer", "UpdateContainer", "StopContainer", "UpdatePodSandbox"}
SINCE_0_10 = {"UpdatePodSandbox", "PostUpdatePodSandbox"}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (LATEST, LIFE),
        (Version(0, 11, 0), [m if m in DIRECT else "StateChange" for m in LIFE]),
        (OLD, [m if m in DIRECT else "StateChange" for m in LIFE if m not in SINCE_0_10]),
    ],
)
def test_a_whole_life_by_this_versions_transport(tmp_path: Path, version: Version, expected: list[str]) -> None:
    events = 0x1FFF if version > OLD else ALL_OLD
    with connected(tmp_path, {}, version=version, events=events) as (runtime, (plugin,)):
        whole_life(runtime)
        assert plugin.methods() == expected
        assert runtime.pods == {}
        assert runtime.containers == {}


def test_state_changes_name_their_event_and_what_it_is_about(tmp_path: Path) -> None:
    with connected(tmp_path, {}, version=OLD) as (runtime, (plugin,)):
        whole_life(runtime)
        changes = [m for name, m in [plugin.seen.get() for _ in range(plugin.seen.qsize())] if name == "StateChange"]
    told = [(NRIEvent(m.event), m.pod.id, m.container.id) for m in changes]
    assert told == [
        (NRIEvent.RUN_POD_SANDBOX, "p1", ""),
        (NRIEvent.POST_CREATE_CONTAINER, "p1", "c1"),
        (NRIEvent.START_CONTAINER, "p1", "c1"),
        (NRIEvent.POST_START_CONTAINER, "p1", "c1"),
        (NRIEvent.POST_UPDATE_CONTAINER, "p1", "c1"),
        (NRIEvent.REMOVE_CONTAINER, "p1", "c1"),
        (NRIEvent.STOP_POD_SANDBOX, "p1", ""),
        (NRIEvent.REMOVE_POD_SANDBOX, "p1", ""),
    ]
    assert not changes[0].HasField("container")


def test_only_subscribed_events_come(tmp_path: Path) -> None:
    events = NRIEvent.CREATE_CONTAINER.bit | NRIEvent.REMOVE_POD_SANDBOX.bit
    with connected(tmp_path, {}, events=events) as (runtime, (plugin,)):
        whole_life(runtime)
        assert plugin.methods() == ["CreateContainer", "RemovePodSandbox"]


def test_plugins_are_asked_in_the_order_of_their_indices(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime, ExitStack() as stack:
        for nth, index in enumerate(["50", "05", "10"]):
            stack.enter_context(ScriptedPlugin(tmp_path / "nri", "p", index))
            runtime.wait_for_plugin(nth=nth + 1)
        runtime.run_pod_sandbox(pod())
        assert [c.plugin for c in runtime.calls] == ["05-p", "10-p", "50-p"]


def test_one_unimplemented_event_sends_all_nine_by_state_change(tmp_path: Path) -> None:
    script = {"StartContainer": Status(12, "method StartContainer")}
    with connected(tmp_path, script) as (runtime, (plugin,)):
        whole_life(runtime)
        after = [m if m in DIRECT else "StateChange" for m in LIFE[4:] if m not in SINCE_0_10]
        assert plugin.methods() == [*LIFE[:4], "StateChange", *after]


@pytest.mark.parametrize("method", ["CreateContainer", "UpdateContainer"])
def test_unimplemented_is_an_ordinary_error_of_the_others(tmp_path: Path, method: str) -> None:
    with connected(tmp_path, {method: Status(12, f"method {method}")}) as (runtime, _):
        with pytest.raises(CRIError, match=f"method {method}"):
            whole_life(runtime)
        assert len(runtime.plugins) == 1


@pytest.mark.parametrize("answer", [Status(2, "not today"), Status(14, "not today"), b"\xff"])
def test_an_error_fails_the_event_spares_later_plugins_and_keeps_the_connection(tmp_path: Path, answer: Any) -> None:
    with connected(tmp_path, {"CreateContainer": answer}, {}) as (runtime, (first, second)):
        runtime.run_pod_sandbox(pod())
        first.methods(), second.methods()
        with pytest.raises(CRIError, match=r"^CreateContainer: (not today|reply of plugin 00-p0 cannot be decoded)"):
            runtime.create_container("p1", container())
        assert runtime.containers == {}
        # containerd undoes what it had begun.
        assert first.methods() == ["CreateContainer", "StopContainer", "RemoveContainer"]
        assert second.methods() == ["StopContainer", "RemoveContainer"]
        first.answers["CreateContainer"] = None
        assert runtime.create_container("p1", container()).id == "c1"


@pytest.mark.parametrize("answer", [Do.NOTHING, Do.HANG_UP])
def test_a_plugin_that_gives_no_answer_is_closed_and_has_no_say(tmp_path: Path, answer: Do) -> None:
    with connected(tmp_path, {"CreateContainer": answer}, {"CreateContainer": ENV}, timeout_s=0.6) as (
        runtime,
        plugins,
    ):
        runtime.run_pod_sandbox(pod())
        state = runtime.create_container("p1", container())
        assert state.env == {"A": "1"}
        assert state.owners == {"Env A": "01-p1"}
        assert plugins[0].hung_up.wait(10)
        assert [p.full_name for p in runtime.plugins] == ["01-p1"]
        assert [bool(c.error) for c in runtime.calls if c.event == "CREATE_CONTAINER"] == [True, False]


def test_an_answer_on_another_stream_is_no_answer(tmp_path: Path) -> None:
    def answer(_: Any) -> Do:
        assert plugin.last is not None
        plugin.send(plugin.connection.reply(plugin.last._replace(stream=plugin.last.stream + 2), ENV))
        return Do.NOTHING

    with connected(tmp_path, {}, timeout_s=0.6) as (runtime, (plugin,)):
        runtime.run_pod_sandbox(pod())
        plugin.answers["CreateContainer"] = answer
        assert runtime.create_container("p1", container()).env == {}
        assert plugin.hung_up.wait(10)


CONTAINERD_FAILS = {"RunPodSandbox", "UpdatePodSandbox", "CreateContainer", "StartContainer", "UpdateContainer"}
CRIO_FAILS = {"RunPodSandbox", "UpdatePodSandbox", "CreateContainer", "UpdateContainer", "StopPodSandbox"}


@pytest.mark.parametrize(("name", "fails"), [("containerd", CONTAINERD_FAILS), ("cri-o", CRIO_FAILS)])
@pytest.mark.parametrize("method", LIFE)
def test_what_an_error_fails_depends_on_event_and_runtime(
    tmp_path: Path, name: str, fails: set[str], method: str
) -> None:
    script = {method: Status(2, "not today")}
    with connected(tmp_path, script, version=LATEST, name=name, events=0x1FFF) as (runtime, (plugin,)):
        if method in fails:
            with pytest.raises(CRIError, match="not today"):
                whole_life(runtime)
        else:
            whole_life(runtime)
            told = [m for m in LIFE if name == "containerd" or m != "PostUpdatePodSandbox"]
            assert plugin.methods() == told
            assert (method in told) == any("not today" in n for n in runtime.log)


@pytest.mark.parametrize(
    ("method", "undone"),
    [
        ("RunPodSandbox", ["StopPodSandbox", "RemovePodSandbox"]),
        ("StartContainer", ["StopContainer"]),
    ],
)
def test_containerd_undoes_what_a_plugin_failed(tmp_path: Path, method: str, undone: list[str]) -> None:
    with connected(tmp_path, {method: Status(2, "no")}) as (runtime, (plugin,)):
        with pytest.raises(CRIError):
            whole_life(runtime)
        methods = plugin.methods()
        assert methods[methods.index(method) + 1 :] == undone


def test_the_end_of_a_container_is_told_once(tmp_path: Path) -> None:
    with connected(tmp_path, {}) as (runtime, (plugin,)):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container())
        runtime.start_container("c1")
        plugin.methods()
        runtime.stop_container("c1")
        runtime.stop_container("c1")
        runtime.remove_pod_sandbox("p1")
        assert plugin.methods() == ["StopContainer", "StopPodSandbox", "RemoveContainer", "RemovePodSandbox"]


def test_after_a_restart_containerd_forgets_to_tell_of_old_pods(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container())
        runtime.start_container("c1")
        runtime.restart()
        with ScriptedPlugin(tmp_path / "nri") as plugin:
            runtime.wait_for_plugin()
            assert [p.id for p in plugin.expect("Synchronize").pods] == ["p1"]
            runtime.remove_pod_sandbox("p1")
            assert plugin.methods() == ["StopContainer", "RemoveContainer"]


def test_events_wait_for_each_other(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(_: Any) -> api.CreateContainerResponse:
        asked.set()
        assert go_on.wait(10)
        return ENV

    with connected(tmp_path, {"CreateContainer": slow}) as (runtime, (plugin,)):
        runtime.run_pod_sandbox(pod())
        first = threading.Thread(target=runtime.create_container, args=("p1", container()))
        first.start()
        assert asked.wait(10)
        second = threading.Thread(target=runtime.run_pod_sandbox, args=(pod("p2"),))
        second.start()
        go_on.set()
        first.join(), second.join()
        assert plugin.methods() == ["RunPodSandbox", "CreateContainer", "PostCreateContainer", "RunPodSandbox"]


def test_states_and_pids_are_told_as_they_change(tmp_path: Path) -> None:
    with connected(tmp_path, {}) as (runtime, (plugin,)):
        whole_life(runtime)
        seen = {
            name: m.container
            for name, m in [plugin.seen.get() for _ in range(plugin.seen.qsize())]
            if "Pod" not in name
        }
    states = {name: c.state for name, c in seen.items()}
    assert states == {
        "CreateContainer": api.CONTAINER_UNKNOWN,
        "PostCreateContainer": api.CONTAINER_CREATED,
        "StartContainer": api.CONTAINER_CREATED,
        "PostStartContainer": api.CONTAINER_RUNNING,
        "UpdateContainer": api.CONTAINER_RUNNING,
        "PostUpdateContainer": api.CONTAINER_RUNNING,
        "StopContainer": api.CONTAINER_STOPPED,
        "RemoveContainer": api.CONTAINER_STOPPED,
    }
    assert seen["CreateContainer"].pid == 0
    assert seen["StartContainer"].pid > 0
    assert seen["PostUpdateContainer"].linux.resources.cpu.quota.value == 50000


def test_kubelets_resize_names_four_resources_even_when_it_asks_for_one(tmp_path: Path) -> None:
    with connected(tmp_path, {}) as (runtime, (plugin,)):
        whole_life(runtime)
        asked = plugin.expect("UpdateContainer").linux_resources
    assert asked.cpu.quota.value == 50000
    for wrapper in ("shares", "period"):
        assert asked.cpu.HasField(wrapper)
        assert getattr(asked.cpu, wrapper).value == 0
    assert asked.memory.HasField("limit")


# -- validation -----------------------------------------------------------------------------------------------------


def test_validators_see_the_merged_result_and_who_made_it(tmp_path: Path) -> None:
    with connected(tmp_path, {"CreateContainer": ENV}, {}, events=0x3FFF) as (runtime, (_, second)):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container(env=["B=2"]))
        request = second.expect("ValidateContainerAdjustment")
    assert request.container.env == ["B=2"]
    assert [(e.key, e.value) for e in request.adjust.env] == [("A", "1")]
    assert request.owners.owners["c1"].compound[api.Env].owners["A"] == "00-p0"
    assert [(p.index, p.name) for p in request.plugins] == [("00", "p0"), ("01", "p1")]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            api.ValidateContainerAdjustmentResponse(reject=True, reason="too much"),
            'validator "00-p0" rejected container adjustment, reason: too much',
        ),
        (Status(2, "broken"), "validator plugin 00-p0 failed: broken"),
        (Do.NOTHING, "validator plugin 00-p0 failed"),
    ],
)
def test_a_validator_that_does_not_agree_fails_the_container(tmp_path: Path, answer: Any, text: str) -> None:
    script = {"ValidateContainerAdjustment": answer}
    with connected(tmp_path, script, events=0x3FFF, timeout_s=0.6) as (runtime, _):
        runtime.run_pod_sandbox(pod())
        with pytest.raises(CRIError, match=text):
            runtime.create_container("p1", container())


# -- unsolicited updates ----------------------------------------------------------------------------------------------


def unasked(*updates: api.ContainerUpdate) -> api.UpdateContainersRequest:
    return api.UpdateContainersRequest(update=updates)


def test_unsolicited_updates_are_applied_and_unknown_ids_pass(tmp_path: Path) -> None:
    with connected(tmp_path, {}) as (runtime, (plugin,)):
        runtime.preload([pod()], [container()])
        plugin.reply()  # of RegisterPlugin
        reply = plugin.ask("UpdateContainers", unasked(update("c1", quota(7000)), update("nobody", quota(1))))
        assert (reply.code, reply.payload) == (0, b"")
        assert runtime.containers["c1"].spec.linux.resources.cpu.quota.value == 7000
        assert plugin.methods() == []


def test_an_unsolicited_update_waits_for_the_event_in_flight(tmp_path: Path) -> None:
    def answer(_: Any) -> None:
        plugin.call("UpdateContainers", unasked(update("c1", quota(7000))))

    with connected(tmp_path, {}) as (runtime, (plugin,)):
        plugin.reply()
        runtime.run_pod_sandbox(pod())
        plugin.answers["CreateContainer"] = answer
        # Were it served at once, it would be one for an unknown container; and a plugin that waits for it gets no further.
        runtime.create_container("p1", container())
        assert plugin.reply().code == 0


# -- faults -----------------------------------------------------------------------------------------------------------


def test_trickled_frames_are_the_same_frames(tmp_path: Path) -> None:
    with connected(tmp_path, {"CreateContainer": ENV}) as (runtime, (plugin,)):
        runtime.faults.trickle = True
        whole_life(runtime)
        assert [m for m in LIFE if m not in SINCE_0_10] == plugin.methods()


def test_a_cut_frame_ends_the_connection_and_the_event_goes_on(tmp_path: Path) -> None:
    with connected(tmp_path, {"CreateContainer": ENV}) as (runtime, (plugin,)):
        runtime.run_pod_sandbox(pod())
        plugin.methods()
        runtime.faults.cut_during = "CreateContainer"
        assert runtime.create_container("p1", container()).env == {}
        assert plugin.hung_up.wait(10)
        assert plugin.methods() == []
        assert runtime.faults.cut_during is None


def test_a_call_can_be_cut_before_its_reply(tmp_path: Path) -> None:
    with connected(tmp_path, {}) as (runtime, (plugin,)):
        plugin.reply()
        runtime.faults.cut_before_reply = "UpdateContainers"
        plugin.call("UpdateContainers", unasked())
        assert plugin.hung_up.wait(10)
        assert plugin.replies.empty()
