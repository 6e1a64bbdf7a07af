"""Where the daemon may still write, and that all it does works so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.control import question
from koordnri.host.landlock import LEAST_VERSION, landlock_version
from koordnri.runtime import Runtime
from tests.daemon.running import HALVED, FakeHost, create, run_pod
from tests.support.waiting import PATIENCE_S, eventually

SCRIPT = """
import json, sys
from pathlib import Path
from koordnri.daemon.config import Config
from koordnri.daemon.confinement import confine

options = json.loads(sys.argv[1])
state = confine(Config(**{key: Path(text) if "/" in text else text for key, text in options.items()}))
denied = []
for path in sys.argv[2:]:
    try:
        Path(path).write_text("x")
    except PermissionError:
        denied.append(path)
print(json.dumps([state, denied]))
"""
HAS_LANDLOCK = landlock_version() >= LEAST_VERSION


def confined(*written: Path, **options: Any) -> tuple[str, list[Path]]:
    """What holds in another process, and which of the files it cannot write."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(options), *map(str, written)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    state, denied = json.loads(done.stdout)
    return state, [Path(path) for path in denied]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    root = tmp_path / "host"
    (root / "sys/fs/cgroup/kubepods").mkdir(parents=True)
    (root / "sys/kernel").mkdir()
    return root


def test_cgroups_and_the_state_directory_are_written_and_nothing_else(tmp_path: Path, host: Path) -> None:
    state = tmp_path / "state"
    inside = [state / "notes.json", host / "sys/fs/cgroup/kubepods/cpu.max"]
    outside = [tmp_path / "file", host / "sys/kernel/x", host / "sys/fs/x"]
    text, denied = confined(*inside, *outside, host_root=str(host), state_dir=str(state))
    if HAS_LANDLOCK:
        assert text == f"on: writes only below {host}/sys/fs/cgroup, {state}"
        assert denied == outside
    else:
        assert text.startswith("off: this kernel has no Landlock")
        assert denied == []


def test_resctrl_may_be_mounted_later_where_the_cpu_has_it(tmp_path: Path, host: Path) -> None:
    (host / "sys/fs/resctrl").mkdir()
    text, denied = confined(
        host / "sys/fs/resctrl/schemata", host / "sys/kernel/x", host_root=str(host), state_dir=str(tmp_path / "state")
    )
    if HAS_LANDLOCK:
        assert text == f"on: writes only below {host}/sys/fs, {tmp_path}/state"
        assert denied == [host / "sys/kernel/x"]


def test_what_does_not_exist_yet_can_be_made_later(tmp_path: Path) -> None:
    state, obstacle = tmp_path / "obstacle/state", tmp_path / "obstacle"
    obstacle.write_text("a file")
    text, denied = confined(tmp_path / "later", host_root=str(tmp_path / "none"), state_dir=str(state))
    assert denied == []
    assert text == (f"on: writes only below {tmp_path}" if HAS_LANDLOCK else text)


def test_with_a_kubeconfig_temporary_files_are_written_too_for_the_client_keeps_its_certificates_there(
    tmp_path: Path, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, state, config = tmp_path / "temporary", tmp_path / "state", tmp_path / "config"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    config.write_text("users: [{name: a, user: {token: secret}}]")
    inside, outside = [temporary / "certificate", state / "notes.json"], [tmp_path / "file"]
    text, denied = confined(*inside, *outside, host_root=str(host), state_dir=str(state), kubeconfig=str(config))
    if HAS_LANDLOCK:
        assert text == f"on: writes only below {host}/sys/fs/cgroup, {state}, {temporary}"
        assert denied == outside


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"landlock": "off"}, "off: --landlock off"),
        (
            {"kubeconfig": "/none"},
            "off: the kubeconfig names a program, which may keep files of its own, or cannot be read",
        ),
    ],
)
def test_it_is_off_where_it_is_switched_off_or_could_do_harm(
    tmp_path: Path, options: dict[str, str], text: str
) -> None:
    assert confined(tmp_path / "file", state_dir=str(tmp_path / "state"), **options) == (text, [])


@pytest.fixture
def node(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path / "host")


@pytest.fixture
def process(tmp_path: Path, node: FakeHost) -> Iterator[subprocess.Popen[bytes]]:
    """`koordnri run` on a fake host, with a policy that halves quotas, and a state directory as kubelet makes it of a hostPath."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "notes.json").write_text("{}")
    for path, mode in ((state, 0o755), (state / "notes.json", 0o644)):
        path.chmod(mode)
    policy = tmp_path / "policy.yaml"
    policy.write_text(HALVED)
    paths = {"nri-socket": "nri.sock", "state-dir": "state", "host-root": "host", "policy-file": "policy.yaml"}
    command = [sys.executable, "-m", "koordnri.cli", "run", "--listen=off", "--node-name=n"]
    command += [f"--{name}={tmp_path / path}" for name, path in paths.items()]
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("KOORDNRI_", "NRI_"))}
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, stderr=log, umask=0o022) as process,
    ):
        yield process
        process.kill()


def test_the_daemon_writes_cgroups_and_state_and_serves_the_control_socket(
    tmp_path: Path, node: FakeHost, process: subprocess.Popen[bytes]
) -> None:
    state = tmp_path / "state"
    with Runtime(tmp_path / "nri.sock") as runtime:
        runtime.wait_for_plugin(PATIENCE_S)
        run_pod(runtime)
        create(runtime)
        runtime.start_container("c1")
        node.wait_quotas("25000", "25000")
        eventually((state / "koordnri.sock").exists, "a control socket")
        assert question(state, "status")["landlock"].startswith("on: " if HAS_LANDLOCK else "off: this kernel")
        open_to_others = {path.name for path in (state, *state.iterdir()) if path.stat().st_mode & 0o077}
        assert open_to_others == set()
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    assert json.loads((state / "originals.json").read_text())["c1"] == {"cpu.quota": 50_000}
    assert (state / "history.jsonl").read_text()


def test_terways_directory_is_made_so_that_nothing_above_it_is_open(host: Path, tmp_path: Path) -> None:
    outside = host / "var/lib/x"
    inside = host / "var/lib/terway/qos/pod.json"
    state = str(tmp_path / "state")
    text, denied = confined(inside, outside, host_root=str(host), state_dir=state, write=["terway"])
    assert inside.exists()
    if HAS_LANDLOCK:
        assert f"{host}/var/lib/terway/qos" in text
        assert denied == [outside]
