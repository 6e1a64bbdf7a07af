"""One daemon of a node registers, and it has the control socket."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from koordnri.state.lock import NodeLock
from tests.daemon.running import create, run_pod
from tests.support.waiting import eventually


def test_only_one_of_a_node_registers_and_the_other_takes_over(start, runtime):
    first, second = start(), start()
    first.wait_ready()
    text = second.wait_not_ready("another koordnri holds", "koordnri.lock")
    assert "stop it" in text
    assert [p.full_name for p in runtime.plugins] == ["10-koordnri"]
    assert first.stop() == 0
    second.wait_ready()
    assert runtime.registrations == 2


def test_a_lock_of_an_earlier_process_does_not_count(start, runtime, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "koordnri.lock").write_text("4194304\n")
    start().wait_ready()


FILES = ("notes.json", "originals.json", "resctrl.json", "koordnri.lock", "koordnri.sock", "notes.json.new")


def mounted(*options: str) -> Path:
    """Not below pytest's own directories: a mount that a killed run leaves there would fail the next ones' tidying."""
    path = Path(tempfile.mkdtemp(prefix="koordnri-state-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "koordnri-test", path], capture_output=True)
    if done.returncode:
        path.rmdir()
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode()}")
    return path


@pytest.mark.parametrize("state", ["read-only", "full", "not a directory", "fifos"])
def test_whatever_the_state_directory_is_the_daemon_decides_and_warns(start, runtime, tmp_path, state):
    directory, expected, unmount = tmp_path / "state", "state: kept in memory only", False
    if state == "not a directory":
        directory.touch()
    elif state == "fifos":
        directory.mkdir()
        for name in FILES:
            os.mkfifo(directory / name)
    else:
        directory, unmount = mounted("ro" if state == "read-only" else "size=4k"), True
    try:
        if state == "full":
            with contextlib.suppress(OSError), open(directory / "filler", "wb") as filler:
                filler.write(bytes(1 << 20))
        running = start(state_dir=directory)
        text = eventually(lambda: (found := running.readiness())[0] == 200 and found[1], "ready")
        if state == "fifos":
            assert text == "ok\n", "its own files have taken their places"
        else:
            assert text.startswith(f"ok\nwarning: {expected}, and lost by a restart: ")
        run_pod(runtime)
        create(runtime)
        eventually(lambda: running.daemon.parts.ledger.container("c1"), "the container is known")
        assert running.stop() == 0
    finally:
        if unmount:
            subprocess.run(["umount", "--lazy", directory], check=True)
            directory.rmdir()


def test_a_state_directory_that_is_mended_is_used(start, runtime, tmp_path, monkeypatch):
    monkeypatch.setattr("koordnri.daemon.admission.RETRY_S", 0.01)
    (tmp_path / "state").touch()
    running = start()
    warned = eventually(lambda: (found := running.readiness())[0] == 200 and found[1], "warnings")
    assert [line.split(": ")[1] for line in warned.splitlines()[1:]] == ["state"] * 3
    assert "nothing keeps a second koordnri from registering" in warned
    assert "no control socket" in warned
    (tmp_path / "state").unlink()
    eventually(lambda: "in memory" not in running.readiness()[1], "the notes are on disk")
    eventually(lambda: running.readiness() == (200, "ok\n"), "no warning is left")
    assert (tmp_path / "state/koordnri.sock").is_socket(), "a control socket"
    assert not NodeLock(tmp_path / "state").try_acquire(), "and a lock"
