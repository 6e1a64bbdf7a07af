"""One koordnri per NRI socket, whatever their state directories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from koordnri.state.socket_lock import SocketLock

HOLDER = """
import sys
from pathlib import Path
from koordnri.state.socket_lock import SocketLock
lock = SocketLock(Path(sys.argv[1]))
print(lock.try_acquire(), flush=True)
sys.stdin.read()
"""


def test_another_process_does_not_get_it_until_the_first_is_dead(tmp_path: Path) -> None:
    mine = SocketLock(tmp_path / "nri.sock")
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "nri.sock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not mine.try_acquire()
        other.kill()
        other.wait()
    assert mine.try_acquire()
    mine.release()


def test_it_is_given_back_and_taken_again(tmp_path: Path) -> None:
    one, two = SocketLock(tmp_path / "nri.sock"), SocketLock(tmp_path / "nri.sock")
    assert one.try_acquire()
    assert one.try_acquire(), "again"
    assert not two.try_acquire()
    two.release()
    assert not two.try_acquire(), "only who holds it gives it back"
    one.release()
    assert two.try_acquire()
    two.release()


def test_the_socket_may_come_and_go_and_its_directory_may_come_later(tmp_path: Path) -> None:
    lock = SocketLock(tmp_path / "nri" / "nri.sock")
    assert lock.try_acquire()
    assert SocketLock(tmp_path / "nri" / "nri.sock").try_acquire(), "there was nothing to lock"
    (tmp_path / "nri").mkdir()
    assert lock.try_acquire()
    (tmp_path / "nri" / "nri.sock").touch()
    assert not SocketLock(tmp_path / "nri" / "nri.sock").try_acquire()
    lock.release()
