"""What a plugin sees of the embedded runtime before the first event."""

import socket
import threading
from pathlib import Path

import pytest

from koordnri.runtime import LATEST, Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.errors import Code
from koordnri.wire.versions import Version
from tests.runtime.scripted_plugin import Do, ScriptedPlugin, Status

OLD = Version(0, 6, 1)


@pytest.mark.parametrize(
    ("version", "name", "index", "text"),
    [
        (LATEST, "", "05", "invalid plugin name: name is empty"),
        (LATEST, "a b", "05", 'invalid plugin name "a b": contains invalid character'),
        (LATEST, "probe", "5", 'invalid plugin index "5", must be 2 digits'),
        (LATEST, "probe", "ab", 'invalid plugin index "ab", must be 2 digits'),
        (OLD, "", "05", "invalid plugin name: name is empty"),
        (OLD, "probe", "005", 'invalid plugin index "005", must be 2 digits'),
    ],
)
def test_a_bad_name_or_index_is_refused_and_the_connection_left_open(
    tmp_path: Path, version: Version, name: str, index: str, text: str
) -> None:
    with (
        Runtime(tmp_path / "nri", version) as runtime,
        ScriptedPlugin(tmp_path / "nri", name, index) as plugin,
    ):
        reply = plugin.reply()
        assert (reply.code, reply.text) == (Code.UNKNOWN, text)
        runtime.wait_for_log(text)
        # It still answers on this connection, though it will never use it.
        assert plugin.ask("UpdateContainers", api.UpdateContainersRequest()).code == Code.OK
        assert plugin.methods() == []
        # The next plugin is served.
        with ScriptedPlugin(tmp_path / "nri"):
            assert runtime.wait_for_plugin().full_name == "05-probe"


def test_names_are_checked_only_since_0_12(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri", Version(0, 11, 0)) as runtime, ScriptedPlugin(tmp_path / "nri", "a b"):
        assert runtime.wait_for_plugin().full_name == "05-a b"


def test_a_plugin_that_does_not_register_in_time_is_closed(tmp_path: Path) -> None:
    with (
        Runtime(tmp_path / "nri", registration_timeout_s=0.05) as runtime,
        ScriptedPlugin(tmp_path / "nri", register=False) as plugin,
    ):
        assert plugin.hung_up.wait(10)
        runtime.wait_for_log("plugin registration timed out")


def test_a_plugin_that_does_not_register_keeps_the_others_waiting(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        slow = ScriptedPlugin(tmp_path / "nri", "slow", "01", register=False)
        with slow, ScriptedPlugin(tmp_path / "nri", "fast", "02") as fast:
            slow.call("RegisterPlugin", api.RegisterPluginRequest(plugin_name="slow", plugin_idx="01"))
            assert runtime.wait_for_plugin(nth=1).name == "slow"
            assert runtime.wait_for_plugin(nth=2).name == "fast"
            assert fast.reply().code == Code.OK


@pytest.mark.parametrize(
    ("version", "events", "accepted"),
    [
        (Version(0, 8, 0), 0x07FF, 0x07FF),
        (Version(0, 8, 0), 0x0800, None),
        (Version(0, 8, 0), 0x3FFF, None),
        (Version(0, 8, 0), 0, 0x07FF),
        (Version(0, 10, 0), 0x3FFF, 0x3FFF),
        (Version(0, 10, 0), 0x4000, None),
        (LATEST, 0, 0x3FFF),
        (LATEST, 0x0008, 0x0008),
    ],
)
def test_unknown_event_bits_end_the_connection_and_none_means_all(
    tmp_path: Path, version: Version, events: int, accepted: int | None
) -> None:
    with (
        Runtime(tmp_path / "nri", version) as runtime,
        ScriptedPlugin(tmp_path / "nri", events=events) as plugin,
    ):
        if accepted is None:
            assert plugin.hung_up.wait(10)
            assert plugin.methods() == ["Configure"]
            assert runtime.plugins == ()
        else:
            assert runtime.wait_for_plugin().events == accepted


@pytest.mark.parametrize("answer", [Status(2, "no"), Do.NOTHING, Do.HANG_UP, b"\xff"])
def test_a_failed_configure_ends_the_connection(tmp_path: Path, answer: object) -> None:
    with (
        Runtime(tmp_path / "nri", request_timeout_s=0.2) as runtime,
        ScriptedPlugin(tmp_path / "nri", answers={"Configure": answer}) as plugin,
    ):
        assert plugin.hung_up.wait(10)
        assert runtime.wait_for_log("failed to configure plugin 05-probe")
        assert plugin.methods() == ["Configure"]


def test_the_reply_to_register_plugin_can_be_held_so_that_configure_comes_first(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        release = runtime.faults.hold_replies["RegisterPlugin"] = threading.Event()
        with ScriptedPlugin(tmp_path / "nri") as plugin:
            runtime.wait_for_plugin()
            assert plugin.methods() == ["Configure", "Synchronize"]
            assert plugin.replies.empty()
            release.set()
            assert plugin.reply().code == Code.OK


def test_the_socket_is_taken_over_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "nri"
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind(str(path))
    stale.close()
    with Runtime(path) as runtime, ScriptedPlugin(path):
        runtime.wait_for_plugin()
    assert not path.exists()


def test_a_restart_hangs_up_and_listens_again(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        with ScriptedPlugin(tmp_path / "nri") as plugin:
            runtime.wait_for_plugin()
            runtime.restart()
            assert plugin.hung_up.wait(10)
            assert runtime.plugins == ()
        with ScriptedPlugin(tmp_path / "nri", index="06"):
            assert runtime.wait_for_plugin(nth=2).index == "06"
