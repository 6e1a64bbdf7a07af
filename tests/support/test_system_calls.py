"""The faults that other tests rely on: they strike where they are ordered to, and nowhere else."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.system_calls import VANISH_AFTER, VANISH_BEFORE, Fault, SystemCalls


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[SystemCalls]:
    for name in ("cgroup/poduid-1/c1", "state", "trash"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "cgroup/poduid-1/c1/cpu.max").write_text("5")
    directories = {"cgroup": tmp_path / "cgroup", "state": tmp_path / "state"}
    with SystemCalls(directories, {"nri": tmp_path / "nri.sock"}, tmp_path / "trash") as calls:
        yield calls


def elsewhere(what: Callable[[], Any]) -> Any:
    """Its result or its error, in a thread that is not exempt."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(what())
        except OSError as error:
            found.append(error.errno)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 10)
    finally:
        os.close(fd)


@pytest.mark.parametrize("point", ["cgroup.open", "cgroup.read"])
def test_a_fault_strikes_after_so_many_calls_so_often(calls: SystemCalls, tmp_path: Path, point: str) -> None:
    file = tmp_path / "cgroup/poduid-1/c1/cpu.max"
    calls.arm(Fault(point, errno.EBUSY, after=1, times=2))
    assert [elsewhere(lambda: read(file)) for _ in range(4)] == [b"5", errno.EBUSY, errno.EBUSY, b"5"]
    assert calls.struck == [f"{point}: EBUSY"] * 2


def test_other_files_and_the_tests_own_thread_are_left_alone(calls: SystemCalls, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("x")
    calls.arm(Fault("cgroup.open", errno.EIO))
    assert elsewhere(lambda: read(other)) == b"x"
    assert read(tmp_path / "cgroup/poduid-1/c1/cpu.max") == b"5"
    assert not calls.struck


@pytest.mark.parametrize(("what", "found"), [(VANISH_BEFORE, errno.ENOENT), (VANISH_AFTER, b"5")])
def test_a_cgroup_vanishes(calls: SystemCalls, tmp_path: Path, what: int, found: object) -> None:
    file = tmp_path / "cgroup/poduid-1/c1/cpu.max"
    calls.arm(Fault("cgroup.open", what))
    assert elsewhere(lambda: read(file)) == found
    assert not file.parent.exists()


def test_a_file_cannot_be_renamed(calls: SystemCalls, tmp_path: Path) -> None:
    calls.arm(Fault("state.rename", errno.ENOSPC))
    new = tmp_path / "state/notes.json.new"
    new.write_text("{}")
    assert elsewhere(lambda: new.replace(tmp_path / "state/notes.json")) == errno.ENOSPC


def test_only_connections_to_the_runtime_are_disturbed(calls: SystemCalls, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other.sock"))
        server.bind(str(tmp_path / "nri.sock"))
        other.listen()
        server.listen()
        calls.arm(Fault("nri.send", errno.EPIPE, times=2))
        assert elsewhere(lambda: send(tmp_path / "other.sock")) is None
        assert elsewhere(lambda: send(tmp_path / "nri.sock")) == errno.EPIPE


def send(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"x")


def test_the_clock_jumps_and_everything_is_put_back(calls: SystemCalls) -> None:
    before = time.time()
    calls.arm(Fault("clock", 86_400))
    assert time.time() - before >= 86_400
    calls.__exit__()
    assert time.time() - before < 86_400
    assert os.open.__module__ == "posix"
