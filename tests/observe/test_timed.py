"""The deadline of a client that trickles."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator

import pytest

from koordnri.observe.timed import TimedStream

HOUR_S = 3600.0


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_it_reads_lines_and_the_end(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    reader = io.BufferedReader(TimedStream(ours, HOUR_S))
    theirs.sendall(b"GET / HTTP/1.0\r\nHost: ")
    theirs.close()
    assert [reader.readline(), reader.readline(), reader.readline()] == [b"GET / HTTP/1.0\r\n", b"Host: ", b""]


def test_everything_is_sent_however_small_the_buffer(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    sent = 0

    class Narrow(socket.socket):
        def send(self, data: memoryview, *flags: int) -> int:  # type: ignore[override]
            nonlocal sent
            sent += 1
            return super().send(data[:3], *flags)

    with Narrow(fileno=ours.detach()) as narrow:
        assert TimedStream(narrow, HOUR_S).write(b"0123456789") == 10
    assert (theirs.recv(100), sent) == (b"0123456789", 4)


def test_a_client_that_trickles_meets_the_deadline(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    stream = TimedStream(ours, 0.2)
    reader = io.BufferedReader(stream)
    until = time.monotonic() + 60
    with pytest.raises(TimeoutError, match=r"not finished within 0.2 s|timed out"):  # noqa: PT012
        while time.monotonic() < until:  # each byte comes in time for one read, all of them never end
            theirs.sendall(b"x")
            reader.read(1)


def test_a_client_that_takes_nothing_meets_the_deadline(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = ends
    with pytest.raises(TimeoutError):
        TimedStream(ours, 0.2).write(bytes(64 << 20))


def test_a_restart_gives_the_whole_time_again(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    stream = TimedStream(ours, HOUR_S)
    stream._until = 0.0  # passed
    with pytest.raises(TimeoutError, match="not finished within 3600 s"):
        stream.write(b"x")
    stream.restart()
    assert stream.write(b"x") == 1
    assert theirs.recv(1) == b"x"
