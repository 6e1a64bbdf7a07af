"""A plugin that the runtime starts itself."""

import sys
from pathlib import Path

import pytest

from koordnri.runtime import LATEST, Runtime
from koordnri.wire.versions import Version
from tests.support.messages import pod


@pytest.mark.parametrize(
    ("version", "methods"), [(Version(0, 6, 1), ["StateChange"]), (LATEST, ["Synchronize", "RunPodSandbox"])]
)
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
