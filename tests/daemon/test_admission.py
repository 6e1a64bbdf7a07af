"""One daemon of a node registers, and it has the control socket."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from koordnri.daemon.admission import Admission
from koordnri.daemon.config import Config, ConfigError
from koordnri.observe.log import LineWriter, make_logger
from koordnri.session.identity import Identity
from koordnri.state.lock import NodeLock
from tests.daemon.running import create, run_pod
from tests.daemon.sent_events import SentEvents
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from koordnri.daemon.control import Operator


def test_only_one_of_a_node_registers_and_the_other_takes_over(start, runtime):
    first, second = start(), start()
    first.wait_ready()
    text = second.wait_not_ready("another koordnri holds", "koordnri.lock")
    assert "stop it" in text
    assert [p.full_name for p in runtime.plugins] == ["10-koordnri"]
    assert first.stop() == 0
    second.wait_ready()
    assert runtime.registrations == 2


def test_another_state_directory_does_not_make_a_second_registration(start, runtime, tmp_path):
    first, second = start(), start(state_dir=tmp_path / "other")
    first.wait_ready()
    second.wait_not_ready(f"another koordnri holds {tmp_path}: stop it")
    assert [p.full_name for p in runtime.plugins] == ["10-koordnri"]
    assert first.stop() == 0
    second.wait_ready()
    assert runtime.registrations == 2


class Admitted:
    """Admissions to one node, whose clock the test sets."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events = SentEvents([])
        self.now_s = 100.0
        self.made: list[Admission] = []
        self.writer = LineWriter(2)

    def another(self, state: str, fd: int | None = None) -> Admission:
        config = Config(
            identity=Identity("koordnri", "10", fd),
            nri_socket=str(self.directory / "nri" / "nri.sock"),
            state_dir=self.directory / state,
        )
        config.state_dir.mkdir(exist_ok=True)
        log = make_logger(self.writer, "json", "error")
        operator = cast("Operator", None)  # asked only by clients of the control socket
        self.made.append(Admission(config, operator, {}, lambda: None, self.events, log, lambda: self.now_s))
        return self.made[-1]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Admitted]:
    it = Admitted(tmp_path)
    yield it
    for admission in it.made:
        admission.close_control()
        admission.release()
    it.writer.close()


@pytest.mark.parametrize(("state", "held"), [("one", "one/koordnri.lock"), ("two", "nri")])
def test_who_waits_for_another_for_long_reports_it_once(node: Admitted, state: str, held: str) -> None:
    (node.directory / "nri").mkdir()
    assert node.another("one").seek()
    second = node.another(state)
    for _ in range(29):
        assert not second.seek()
        node.now_s += 1
    assert node.events.of_node == [], "it may be one that is being replaced"
    for _ in range(60):
        node.now_s += 1
        assert not second.seek()
    ((reason, message),) = node.events.of_node
    assert reason == "SecondKoordnri"
    assert message.startswith(f"another koordnri holds {node.directory}/{held}, ")


def test_of_two_that_came_before_the_runtime_one_gives_up(node: Admitted) -> None:
    first, second = node.another("one"), node.another("two")
    assert first.seek()
    assert second.seek(), "nothing could be locked yet"
    (node.directory / "nri").mkdir()
    assert first.seek()
    with pytest.raises(ConfigError, match=f"another koordnri holds {node.directory}/nri: stop it"):
        second.seek()


def test_a_plugin_that_the_runtime_launched_needs_no_socket(node: Admitted) -> None:
    (node.directory / "nri").mkdir()
    assert node.another("one").seek()
    assert node.another("two", fd=3).seek()


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
