"""Events: which come, in which order, by which transport, and what a plugin's misbehaviour costs (nri.md 3.4)."""

import threading
from pathlib import Path
from typing import Any

import pytest

from koordnri.runtime import LATEST, CRIError
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import NRIEvent
from koordnri.wire.versions import Version
from tests.runtime.lives import DIRECT, ENV, LIFE, OLD, SINCE_0_10, connected, whole_life
from tests.runtime.scripted_plugin import ALL_OLD, Status
from tests.support.messages import container, pod


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
    reported = [(NRIEvent(m.event), m.pod.id, m.container.id) for m in changes]
    assert reported == [
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
            reported = [m for m in LIFE if name == "containerd" or m != "PostUpdatePodSandbox"]
            assert plugin.methods() == reported
            assert (method in reported) == any("not today" in n for n in runtime.log)


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


def test_the_end_of_a_container_is_reported_once(tmp_path: Path) -> None:
    with connected(tmp_path, {}) as (runtime, (plugin,)):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container())
        runtime.start_container("c1")
        plugin.methods()
        runtime.stop_container("c1")
        runtime.stop_container("c1")
        runtime.remove_pod_sandbox("p1")
        assert plugin.methods() == ["StopContainer", "StopPodSandbox", "RemoveContainer", "RemovePodSandbox"]


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


def test_states_and_pids_are_reported_as_they_change(tmp_path: Path) -> None:
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


# -- unsolicited updates ----------------------------------------------------------------------------------------------


# -- faults -----------------------------------------------------------------------------------------------------------
