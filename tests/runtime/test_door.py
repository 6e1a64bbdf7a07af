"""What a plugin sees of the embedded runtime before the first event."""

import socket
import sys
import threading
from pathlib import Path

import pytest

from koordnri.runtime import LATEST, Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.errors import Code
from koordnri.wire.versions import Version, nri_version
from tests.runtime.scripted_plugin import Do, ScriptedPlugin, Status
from tests.support.messages import pod

OLD = Version(0, 6, 1)


@pytest.mark.parametrize("name", ["containerd", "cri-o"])
@pytest.mark.parametrize(
    ("version", "timeouts", "tells"),
    [
        (Version(0, 3, 0), False, False),
        (Version(0, 6, 1), False, False),
        (Version(0, 8, 0), True, False),
        (Version(0, 11, 0), True, False),
        (LATEST, True, True),
    ],
)
def test_configure_tells_what_this_version_tells(
    tmp_path: Path, name: str, version: Version, timeouts: bool, tells: bool
) -> None:
    with (
        Runtime(tmp_path / "nri", version, name, request_timeout_s=1.5, registration_timeout_s=4) as runtime,
        ScriptedPlugin(tmp_path / "nri") as plugin,
    ):
        configure = plugin.expect("Configure")
        assert configure.runtime_name == name
        assert configure.runtime_version.startswith("v") == (name == "containerd")
        assert (configure.request_timeout, configure.registration_timeout) == ((1500, 4000) if timeouts else (0, 0))
        assert configure.NRI_version == ("v0.12.2" if tells else "")
        assert configure.config == ""
        assert runtime.identity.nri == version
        # A plugin infers the version from the runtime's; it must not believe it newer than it is.
        assert nri_version(name, configure.runtime_version, configure.NRI_version) <= version


def test_a_version_that_no_runtime_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no known version of the runtime docker has NRI 0\.12\.2: expected one of"):
        Runtime(tmp_path / "nri", runtime_name="docker")


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


_LAUNCHED = """#!{python} -IS
import os, socket, sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests.runtime.scripted_plugin import ScriptedPlugin, api

def report(_):
    targets = [os.readlink(f"/proc/self/fd/{{fd}}") for fd in (0, 1, 2)]
    config = plugin.expect("Configure").config
    text = repr((sys.argv[1:], sorted(os.environ.items()), targets, config, plugin.methods()))
    Path({out!r}).write_text(text)

connection = socket.socket(fileno=int(os.environ["NRI_PLUGIN_SOCKET"]))
plugin = ScriptedPlugin(
    connection, "ignored", "99", answers=dict(StateChange=report, RunPodSandbox=report), register=False
)
plugin.call("RegisterPlugin", api.RegisterPluginRequest(plugin_name="ignored", plugin_idx="99"))
plugin.hung_up.wait()
"""


@pytest.mark.parametrize(("version", "methods"), [(OLD, ["StateChange"]), (LATEST, ["Synchronize", "RunPodSandbox"])])
def test_a_launched_plugin_gets_what_runtimes_give(tmp_path: Path, version: Version, methods: list[str]) -> None:
    program, out = tmp_path / "07-launched", tmp_path / "out"
    program.write_text(_LAUNCHED.format(python=sys.executable, path=sys.path, out=str(out)))
    program.chmod(0o755)
    with Runtime(tmp_path / "nri", version) as runtime:
        peer = runtime.launch(program, "the: config")
        assert peer.full_name == "07-launched"
        assert runtime.wait_for_plugin() is peer
        runtime.run_pod_sandbox(pod())
    argv, environment, targets, config, seen = eval(out.read_text())  # written by the program above
    assert argv == []
    # LC_CTYPE is set by Python itself when there is no locale.
    assert [e for e in environment if e[0] != "LC_CTYPE"] == [
        ("NRI_PLUGIN_IDX", "07"),
        ("NRI_PLUGIN_NAME", "launched"),
        ("NRI_PLUGIN_SOCKET", "3"),
    ]
    assert targets == ["/dev/null"] * 3
    assert config == "the: config"
    assert seen == methods


def test_a_plugin_must_be_named_with_its_index(tmp_path: Path) -> None:
    with (
        Runtime(tmp_path / "nri") as runtime,
        pytest.raises(ValueError, match='invalid plugin name "koordnri": expected two digits, a dash'),
    ):
        runtime.launch(tmp_path / "koordnri")
