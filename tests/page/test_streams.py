"""The stream of changes: when an event is sent, and when a stream ends."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest

from koordnri.page.streams import CHANGED, KEEP_ALIVE, MOST_STREAMS, RETRY, Streams


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Server's end and client's end of a connection."""
    server, client = socket.socketpair()
    with server, client:
        yield server, client


class Sent:
    """Keeps what is sent, and hangs up after so many messages."""

    def __init__(self, client: socket.socket, most: int) -> None:
        self.messages: list[bytes] = []
        self._client = client
        self._most = most

    def __call__(self, message: bytes) -> None:
        self.messages.append(message)
        if len(self.messages) == self._most:
            self._client.close()


def test_each_change_is_an_event(ends: tuple[socket.socket, socket.socket]) -> None:
    marks = itertools.count()
    sent = Sent(ends[1], 3)
    Streams(lambda: next(marks), pace_s=0.001).run(ends[0], sent)
    assert sent.messages == [RETRY, CHANGED, CHANGED]


def test_several_changes_between_two_looks_are_one_event(ends: tuple[socket.socket, socket.socket]) -> None:
    marks = iter([1, 1, 5, 5, 5, 9])
    sent = Sent(ends[1], 3)
    Streams(lambda: next(marks), pace_s=0.001).run(ends[0], sent)
    assert sent.messages == [RETRY, CHANGED, CHANGED]
    assert next(marks, None) is None


def test_without_changes_the_stream_is_kept_alive(ends: tuple[socket.socket, socket.socket]) -> None:
    sent = Sent(ends[1], 2)
    Streams(lambda: 1, pace_s=0.001, keep_alive_s=0.01).run(ends[0], sent)
    assert sent.messages == [RETRY, KEEP_ALIVE]


def test_it_ends_when_the_client_has_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].close()
    looks = itertools.count()
    Streams(lambda: next(looks), pace_s=3600).run(ends[0], lambda _: None)
    assert next(looks) == 1  # the first mark only


def test_it_ends_when_the_client_sends_something(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].sendall(b"x")
    Streams(lambda: 1, pace_s=3600).run(ends[0], lambda _: None)


def test_it_ends_with_the_server(ends: tuple[socket.socket, socket.socket]) -> None:
    streams = Streams(lambda: 1, pace_s=0.001)
    streams.end()
    streams.run(ends[0], lambda _: None)


def test_places_are_bounded_and_used_again() -> None:
    streams = Streams(lambda: 1)
    assert all(streams.enter() for _ in range(MOST_STREAMS))
    assert not streams.enter()
    streams.leave()
    assert streams.enter()
