"""One koordnri per node: the lock is one process's, and never outlives it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from koordnri.state.lock import NodeLock

HOLDER = """
import sys
from pathlib import Path
from koordnri.state.lock import NodeLock
lock = NodeLock(Path(sys.argv[1]))
print(lock.try_acquire(), flush=True)
sys.stdin.read()
"""


class Process:
    """Another process that tries to take the lock, and then stays."""

    def __init__(self, directory):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.got_it = self.process.stdout.readline() == "True\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def test_another_process_does_not_get_it_until_the_first_is_dead_however_it_died(tmp_path):
    mine = NodeLock(tmp_path)
    with Process(tmp_path) as other:
        assert other.got_it
        assert not mine.try_acquire()
        assert mine.path.read_text() == f"{other.process.pid}\n", "who holds it"
        other.process.kill()
        other.process.wait()
        assert mine.try_acquire()
    assert mine.path.read_text() == f"{os.getpid()}\n"
    mine.release()


def test_it_is_given_back_by_release(tmp_path):
    first, second = NodeLock(tmp_path), NodeLock(tmp_path)
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()
    assert second.try_acquire()
    assert not first.try_acquire()
    second.release()


def test_who_holds_it_may_ask_again_and_who_does_not_may_release(tmp_path):
    lock, other = NodeLock(tmp_path), NodeLock(tmp_path)
    assert lock.try_acquire()
    assert lock.try_acquire()
    other.release()
    lock.release()
    lock.release()
    assert other.try_acquire()
    other.release()


def test_the_file_stays_for_unlinking_it_would_let_two_hold_two_files_of_one_name(tmp_path):
    lock = NodeLock(tmp_path)
    lock.try_acquire()
    inode = lock.path.stat().st_ino
    lock.release()
    assert lock.path.stat().st_ino == inode


def test_children_do_not_inherit_it(tmp_path):
    lock = NodeLock(tmp_path)
    assert lock.try_acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        with Process(tmp_path) as other:
            assert other.got_it
        child.kill()


def test_where_nothing_can_be_locked_the_daemon_runs_and_says_so(tmp_path):
    lock = NodeLock(tmp_path / "absent")
    assert lock.try_acquire()
    assert lock.try_acquire(), "still"
    assert lock.problem == f"{tmp_path}/absent/koordnri.lock: No such file or directory"
    lock.release()


@pytest.mark.parametrize("there", ["a directory", "a fifo"])
def test_whatever_is_in_the_place_of_the_file_one_process_has_the_lock(tmp_path, there):
    path = tmp_path / "koordnri.lock"
    path.mkdir() if there == "a directory" else os.mkfifo(path)
    lock = NodeLock(tmp_path)
    assert lock.try_acquire()
    assert lock.problem == ""
    with Process(tmp_path) as other:
        assert not other.got_it
    lock.release()
    with Process(tmp_path) as other:
        assert other.got_it
