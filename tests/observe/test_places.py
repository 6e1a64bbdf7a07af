"""Who gets a place at a server, and who makes room."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from koordnri.observe.places import Places


class Client:
    """A connection and, on the server's side, a thread that reads until it is cut and then leaves, as `Bounded` has it."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.ours, self.theirs = socket.socketpair()
        self.theirs.settimeout(30)
        self._thread = threading.Thread(target=self._serve)

    def enter(self) -> bool:
        entered = self.places.enter(self.ours)
        if entered:
            self._thread.start()
        return entered

    def _serve(self) -> None:
        while self.ours.recv(1):
            pass
        self.places.leave(self.ours)

    def is_cut(self) -> bool:
        self.theirs.setblocking(False)
        try:
            return self.theirs.recv(1) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        self.theirs.close()
        if self._thread.ident is not None:
            self._thread.join()
        self.ours.close()


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    places = Places(2)
    made = [Client(places) for _ in range(4)]
    yield made
    for client in made:
        client.close()


def test_the_one_that_has_sent_nothing_for_longest_makes_room(clients: list[Client]) -> None:
    assert [client.enter() for client in clients] == [True] * 4
    assert [client.is_cut() for client in clients] == [True, True, False, False]


def test_a_request_that_is_being_answered_is_not_cut(clients: list[Client]) -> None:
    one, two, three, four = clients
    assert one.enter()
    one.places.answering(one.ours)
    assert two.enter()
    assert three.enter()
    three.places.answering(three.ours)
    assert not four.enter()
    assert [client.is_cut() for client in clients[:3]] == [False, True, False]


def test_a_receiver_of_an_answer_makes_room_after_those_without_a_request(clients: list[Client]) -> None:
    one, two, three, four = clients
    assert one.enter()
    one.places.answering(one.ours)
    one.places.sending(one.ours)
    assert two.enter()
    assert three.enter()
    assert [client.is_cut() for client in (one, two)] == [False, True]
    three.places.answering(three.ours)
    assert four.enter()
    assert one.is_cut()


def test_a_place_is_free_again_after_its_client_has_left(clients: list[Client]) -> None:
    one, two, three, _ = clients
    assert one.enter()
    assert two.enter()
    two.places.answering(two.ours)
    one.close()
    assert three.enter()
    assert not two.is_cut()
