"""Faults on demand: frames in pieces, and connections that end in the middle."""

from pathlib import Path

from tests.runtime.lives import ENV, LIFE, SINCE_0_10, connected, unasked, whole_life
from tests.support.messages import container, pod


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
