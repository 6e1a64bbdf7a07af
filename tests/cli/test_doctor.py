"""`koordnri doctor`: text, JSON and exit codes; with a running daemon and without."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from koordnri.cli import cli
from koordnri.cli.doctor import ask_daemon, text_of
from koordnri.doctor.codes import Finding
from tests.host.trees import HostTree
from tests.observe.driven import Driven, driven


def run(root: Path, *args: str) -> Result:
    where = ("--host-root", str(root), "--nri-socket", str(root / "nri.sock"), "--state-dir", str(root / "state"))
    return CliRunner().invoke(cli, ["doctor", *where, *args])


def found(result: Result) -> dict[str, Any]:
    return {finding["code"]: finding for finding in json.loads(result.output)["findings"]}


def test_errors_end_with_2_and_name_the_lines_to_write(tmp_path: Path) -> None:
    HostTree(tmp_path).write(
        "etc/containerd/config.toml", "version = 2\n[plugins.'io.containerd.nri.v1.nri']\ndisable = true\n"
    )
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "KN0101 error  NRI is off in the runtime\n" in result.output
    assert '\n             [plugins."io.containerd.nri.v1.nri"]\n             disable = false\n' in result.output
    assert result.output.splitlines()[-1].startswith("2 errors, ")


def test_warnings_end_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)  # for who runs the tests without being root
    tree = HostTree(tmp_path).cgroup_v1().write("proc/self/x", "").write("sys/devices/x", "")
    tree.write("proc/pressure/cpu", "").write("proc/meminfo", "MemTotal: 1 kB\n")
    result = run(tmp_path, "-o", "json")
    assert {f["severity"] for f in found(result).values()} == {"warning"}, result.output
    assert result.exit_code == 1


def test_info_alone_ends_with_0() -> None:
    assert text_of([Finding("KN0504", "a", "b", "c\nd")]) == (
        "KN0504 info  the kernel keeps no pressure stall information\n"
        "  object a\n  cause  b\n  fix    c\n         d\n  see    docs/use/doctor.md#kn0504\n\n1 info"
    ).replace("KN0504 info", "\x1b[36m\x1b[1mKN0504 info\x1b[0m")
    assert text_of([]) == "nothing found"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Driven:
    with driven(tmp_path_factory.mktemp("doctor")) as it:
        yield it


def test_a_running_daemon_is_asked(running: Driven) -> None:
    state_dir = running.policy.parent / "state"
    daemon = ask_daemon(state_dir)
    assert daemon.running
    assert daemon.problem == ""
    assert daemon.overruns == 0, "of its metrics, wherever it serves them"


def test_a_daemon_that_has_died_is_a_finding(tmp_path: Path) -> None:
    HostTree(tmp_path).write("state/koordnri.sock", "")
    assert "nobody listens there any more" in found(run(tmp_path, "-o", "json"))["KN0902"]["cause"]
