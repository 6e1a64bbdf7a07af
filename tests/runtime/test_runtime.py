"""A runtime and its plugins: what it forgets when it restarts, and updates that a plugin sends unasked."""

from pathlib import Path
from typing import Any

from koordnri.runtime import Runtime
from tests.runtime.lives import connected, unasked
from tests.runtime.scripted_plugin import ScriptedPlugin, quota, update
from tests.support.messages import container, pod


def test_after_a_restart_containerd_forgets_to_report_old_pods(tmp_path: Path) -> None:
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
