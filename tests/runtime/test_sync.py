"""Synchronize as the embedded runtime does it: whole, in parts, and what a failure costs on which runtime."""

from pathlib import Path
from typing import Any

import pytest

from koordnri.runtime import LATEST, KernelLimits, Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.runtime.scripted_plugin import Do, ScriptedPlugin, Status, quota, update
from tests.support.messages import container, pod
from tests.support.waiting import PATIENCE_S

MIB = 1 << 20


def echo_more(request: api.SynchronizeRequest) -> api.SynchronizeResponse:
    return api.SynchronizeResponse(more=request.more)


def padded(count: int, each_bytes: int) -> list[api.Container]:
    return [container(f"c{i}", annotations={"pad": "x" * each_bytes}) for i in range(count)]


def test_everything_that_lives_is_reported_in_one_message(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri", request_timeout_s=PATIENCE_S) as runtime:
        runtime.run_pod_sandbox(pod())
        for name in ("created", "running", "stopped", "removed"):
            runtime.create_container("p1", container(name))
        for name in ("running", "stopped"):
            runtime.start_container(name)
        runtime.stop_container("stopped")
        runtime.remove_container("removed")
        with ScriptedPlugin(tmp_path / "nri") as plugin:
            sync = plugin.expect("Synchronize")
            assert [p.id for p in sync.pods] == ["p1"]
            assert {c.id: c.state for c in sync.containers} == {
                "created": api.CONTAINER_CREATED,
                "running": api.CONTAINER_RUNNING,
            }
            assert not sync.more


def test_what_does_not_fit_comes_in_parts_that_together_are_everything(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri", request_timeout_s=PATIENCE_S) as runtime:
        runtime.preload([pod(f"p{i}") for i in range(30)], padded(100, MIB // 10))
        with ScriptedPlugin(tmp_path / "nri", answers={"Synchronize": echo_more}) as plugin:
            runtime.wait_for_plugin(PATIENCE_S)
            plugin.expect("Configure")
            parts: list[api.SynchronizeRequest] = [message for _, message in iter_queue(plugin)]
    assert len(parts) > 2
    assert [p.more for p in parts] == [True] * (len(parts) - 1) + [False]
    assert [p.id for part in parts for p in part.pods] == [f"p{i}" for i in range(30)]
    assert [c.id for part in parts for c in part.containers] == [f"c{i}" for i in range(100)]
    assert all(part.ByteSize() <= 4 * MIB for part in parts)


def iter_queue(plugin: ScriptedPlugin) -> list[tuple[str, Any]]:
    return [plugin.seen.get() for _ in range(plugin.seen.qsize())]


@pytest.mark.parametrize(
    "answer",
    [
        api.SynchronizeResponse(),
        lambda r: api.SynchronizeResponse(more=r.more, update=[update("c1", quota(1000))] if r.more else []),
    ],
    ids=["more is not echoed", "updates in a part"],
)
def test_a_plugin_that_cannot_take_parts_is_closed(tmp_path: Path, answer: Any) -> None:
    with Runtime(tmp_path / "nri", request_timeout_s=PATIENCE_S) as runtime:
        runtime.preload([pod()], padded(20, MIB // 2))
        with ScriptedPlugin(tmp_path / "nri", answers={"Synchronize": answer}) as plugin:
            assert plugin.hung_up.wait(10)
            assert "plugin does not handle split sync requests" in runtime.wait_for_log("failed to synchronize")


def test_eight_objects_that_do_not_fit_are_too_few_to_split(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        runtime.preload([pod()], padded(7, MIB))
        with ScriptedPlugin(tmp_path / "nri", answers={"Synchronize": echo_more}) as plugin:
            assert plugin.hung_up.wait(10)
            assert "failed to synchronize plugin with split messages" in runtime.wait_for_log("failed to synchronize")
            assert plugin.methods() == ["Configure"]


def test_the_timeout_covers_all_parts_together(tmp_path: Path) -> None:
    parts = 0

    def answer(request: api.SynchronizeRequest) -> Any:
        nonlocal parts
        parts += 1
        return echo_more(request) if parts == 1 else Do.NOTHING

    with Runtime(tmp_path / "nri", request_timeout_s=3.0) as runtime:
        runtime.preload([pod()], padded(12, MIB // 2))
        with ScriptedPlugin(tmp_path / "nri", answers={"Synchronize": answer}) as plugin:
            assert plugin.hung_up.wait(10)
            assert runtime.plugins == ()
    assert parts == 2


@pytest.mark.parametrize("answer", [Status(2, "no"), Do.NOTHING, b"\xff"])
@pytest.mark.parametrize(("version", "zombie"), [(Version(0, 6, 1), True), (Version(0, 7, 0), False), (LATEST, False)])
def test_a_failed_synchronize_closes_or_leaves_a_zombie(
    tmp_path: Path, version: Version, zombie: bool, answer: Any
) -> None:
    name = "cri-o" if version == Version(0, 7, 0) else "containerd"
    with (
        Runtime(tmp_path / "nri", version, name, request_timeout_s=2.0) as runtime,
        ScriptedPlugin(tmp_path / "nri", answers={"Synchronize": answer}) as plugin,
    ):
        runtime.wait_for_log("failed to synchronize plugin 05-probe")
        assert runtime.plugins == ()
        plugin.expect("Synchronize")
        if zombie:
            assert [p.full_name for p in runtime.zombies] == ["05-probe"]
            runtime.run_pod_sandbox(pod())
            # Connected still, and deaf.
            assert plugin.ask("UpdateContainers", api.UpdateContainersRequest()).code == 0
            assert plugin.methods() == []
        else:
            assert plugin.hung_up.wait(10)


def test_a_late_reply_to_synchronize_is_dropped(tmp_path: Path) -> None:
    with (
        Runtime(tmp_path / "nri", Version(0, 6, 1), request_timeout_s=2.0) as runtime,
        ScriptedPlugin(tmp_path / "nri", answers={"Synchronize": Do.NOTHING}) as plugin,
    ):
        runtime.wait_for_log("failed to synchronize")
        assert plugin.last is not None
        plugin.send(plugin.connection.reply(plugin.last, None))
        assert plugin.ask("UpdateContainers", api.UpdateContainersRequest()).code == 0
        assert runtime.plugins == ()


def test_updates_in_the_reply_are_applied_and_unknown_ids_pass(tmp_path: Path) -> None:
    response = api.SynchronizeResponse(update=[update("c1", quota(-1)), update("nobody", quota(5))])
    with Runtime(tmp_path / "nri") as runtime:
        runtime.preload([pod()], [container()])
        with ScriptedPlugin(tmp_path / "nri", answers={"Synchronize": response}):
            runtime.wait_for_plugin(PATIENCE_S)
            assert runtime.containers["c1"].spec.linux.resources.cpu.quota.value == -1


@pytest.mark.parametrize(
    ("name", "version", "ignore", "outcome"),
    [
        ("containerd", Version(0, 8, 0), False, "admitted"),
        ("cri-o", Version(0, 11, 0), False, "zombie"),
        ("cri-o", Version(0, 11, 0), True, "admitted"),
        ("cri-o", LATEST, False, "closed"),
    ],
)
def test_updates_that_the_node_refuses_cost_the_registration_on_cri_o(
    tmp_path: Path, name: str, version: Version, ignore: bool, outcome: str
) -> None:
    bad = update("c1", api.LinuxResources(unified={"memory.high": "1"}), ignore)
    with Runtime(tmp_path / "nri", version, name, kernel=KernelLimits(cgroup_version=1)) as runtime:
        runtime.preload([pod()], [container()])
        with ScriptedPlugin(tmp_path / "nri", answers={"Synchronize": api.SynchronizeResponse(update=[bad])}) as plugin:
            if outcome == "admitted":
                runtime.wait_for_plugin(PATIENCE_S)
            else:
                runtime.wait_for_log("failed to apply the updates of plugin 05-probe")
                assert len(runtime.zombies) == (outcome == "zombie")
            if outcome == "closed":
                assert plugin.hung_up.wait(10)
            assert not runtime.containers["c1"].spec.linux.resources.unified
