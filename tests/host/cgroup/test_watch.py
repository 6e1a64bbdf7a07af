"""The watch of directories on the real kernel. Plain directories report writes as cgroups do; e2e tests have real cgroups."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.host.cgroup.spelling import file_names
from koordnri.host.cgroup.watch import PAUSE_S, CgroupWatch
from tests.support.waiting import PATIENCE_S


class Watched:
    """A watch of files called `a` and `b`."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self.deaths: list[BaseException] = []
        self.watch = CgroupWatch({"a", "b"}, self._woken.set, self.deaths.append)

    def wait(self) -> tuple[set[tuple[str, str]], set[str]]:
        """What was written and what was removed, once something was."""
        assert self._woken.wait(PATIENCE_S)
        self._woken.clear()
        written, removed, overflowed = self.watch.take()
        assert not overflowed
        return {(Path(directory).name, name) for directory, name in written}, {Path(path).name for path in removed}

    def wait_for(self, written: set[tuple[str, str]], removed: set[str]) -> None:
        """Until all of this has been reported, and nothing else."""
        seen: tuple[set[tuple[str, str]], set[str]] = (set(), set())
        while seen != (written, removed):
            more = self.wait()
            seen = (seen[0] | more[0], seen[1] | more[1])
            assert seen[0] <= written
            assert seen[1] <= removed


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.watch.close()
    assert not watched.deaths


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """A directory with a file of each name."""
    pod = tmp_path / "pod"
    pod.mkdir()
    for name in ("a", "b", "memory.events"):
        (pod / name).write_text("1")
    return pod


def write(file: Path) -> None:
    """As into a cgroup file: in place."""
    fd = os.open(file, os.O_WRONLY)
    os.write(fd, b"2")
    os.close(fd)


def test_a_write_is_reported_by_directory_and_name(watched, pod):
    assert watched.watch.add(str(pod))
    write(pod / "a")
    watched.wait_for({("pod", "a")}, set())
    write(pod / "a")
    watched.wait_for({("pod", "a")}, set())


def test_nobody_is_woken_while_it_is_held_and_no_event_is_lost(pod, monkeypatch):
    monkeypatch.setattr("koordnri.host.cgroup.watch.HOLD_S", PATIENCE_S)
    order: list[str] = []
    woken = threading.Event()
    watch = CgroupWatch({"a", "b"}, lambda: (order.append("woken"), woken.set()), lambda error: None)
    try:
        watch.add(str(pod))
        watch.hold(True)
        write(pod / "a")
        assert watch.take().written == {(str(pod), "a")}, "who holds it may take them"
        write(pod / "b")
        time.sleep(4 * PAUSE_S)  # time in which a watch that is not held would wake somebody
        order.append("let go")
        watch.hold(False)
        assert woken.wait(PATIENCE_S)
        assert order == ["let go", "woken"]
        assert watch.take().written == {(str(pod), "b")}
    finally:
        watch.close()


def test_the_kernels_own_notices_wake_nobody(watched, pod):
    watched.watch.add(str(pod))
    write(pod / "memory.events")
    write(pod / "b")
    watched.wait_for({("pod", "b")}, set())


def test_what_nobody_was_woken_for_yet_is_reported_to_who_asks(watched, pod):
    """A container that waits for others to leave its CPUs starts only when nothing is left to be looked at."""
    watched.watch.add(str(pod))
    for n in range(100):
        write(pod / "ab"[n % 2])
        assert (str(pod), "ab"[n % 2]) in watched.watch.take().written


def test_who_writes_one_file_without_end_makes_nothing_grow(watched, pod):
    watched.watch.add(str(pod))
    for _ in range(2000):
        write(pod / "a")
        write(pod / "b")
    watched.wait_for({("pod", "a"), ("pod", "b")}, set())
    assert len(watched.watch._pending) <= 2


def test_events_that_the_kernel_dropped_are_reported(pod):
    woken, go_on = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        woken.release()
        go_on.wait(PATIENCE_S)

    deaths: list[BaseException] = []
    watch = CgroupWatch({"a", "b"}, hold, deaths.append)
    try:
        watch.add(str(pod))
        write(pod / "a")
        assert woken.acquire(timeout=PATIENCE_S)
        fds = [os.open(pod / name, os.O_WRONLY) for name in "ab"]
        for _ in range(int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 2 + 1):
            for fd in fds:  # of equal events in a row, the kernel keeps one
                os.pwrite(fd, b"2", 0)
        for fd in fds:
            os.close(fd)
        assert watch.take().overflowed, "also before anybody is woken for it"
        assert not watch.take().overflowed
    finally:
        go_on.set()
        watch.close()
    assert not deaths


def test_the_bug_that_ends_its_thread_is_handed_on(pod):
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    deaths: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
    watch = CgroupWatch({"a"}, broken, deaths.put)
    try:
        watch.add(str(pod))
        write(pod / "a")
        assert isinstance(deaths.get(timeout=PATIENCE_S), ZeroDivisionError)
    finally:
        watch.close()


def test_a_directory_that_is_no_more_is_reported_and_watched_no_longer(watched, pod):
    watched.watch.add(str(pod))
    for file in pod.iterdir():
        file.unlink()
    pod.rmdir()
    watched.wait_for(set(), {"pod"})
    assert len(watched.watch) == 0


def test_who_watches_the_directory_above_hears_of_the_end_of_those_below(watched, tmp_path):
    """Kernels report a cgroup's end in no other way."""
    (tmp_path / "gone").mkdir()
    watched.watch.add(str(tmp_path))
    (tmp_path / "gone").rmdir()
    watched.wait_for(set(), {"gone"})


def test_a_directory_that_was_made_again_is_another_one(watched, pod, tmp_path):
    watched.watch.add(str(pod))
    os.rename(pod, tmp_path / "old")
    pod.mkdir()
    (pod / "a").write_text("1")
    assert watched.watch.add(str(pod))
    assert len(watched.watch) == 1
    write(tmp_path / "old/a")
    write(pod / "a")
    watched.wait_for({("pod", "a")}, set())


def test_what_is_watched_no_longer_is_not_reported(watched, pod, tmp_path):
    watched.watch.add(str(pod))
    write(pod / "a")
    watched.watch.remove(str(pod))
    watched.watch.remove(str(pod))
    (tmp_path / "other").mkdir()
    watched.watch.add(str(tmp_path))
    (tmp_path / "other").rmdir()
    watched.wait_for(set(), {"other"})


def test_where_there_is_no_directory_nothing_is_watched(watched, tmp_path):
    assert not watched.watch.add(str(tmp_path / "none"))
    assert len(watched.watch) == 0


def test_after_its_close_nothing_is_left_open(pod):
    before = set(os.listdir("/proc/self/fd"))
    watched = Watched()
    watched.watch.add(str(pod))
    watched.watch.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_names_are_those_of_the_files_that_are_written():
    names = file_names()
    assert {"cpu.max", "cpu.cfs_quota_us", "cpuset.cpus", "memory.min", "io.max"} <= names
    assert not names & {"memory.events", "cgroup.events", "cgroup.procs", "memory.pressure", "cgroup.subtree_control"}
