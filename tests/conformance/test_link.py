"""A connection: requests in any shape, answers, and what is found wrong with the other side."""

import socket
from collections.abc import Iterator

import pytest

from koordnri.conformance.link import Link
from koordnri.conformance.violation import Violation
from koordnri.wire import api_pb2 as api
from koordnri.wire import mux, ttrpc
from koordnri.wire.connection import Connection, Request, Side


@pytest.fixture
def ends() -> Iterator[tuple[Link, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Link(ours, 0.5), theirs


def test_a_request_arrives_however_it_is_cut(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    plugin = Connection(Side.PLUGIN)
    for cut in (0, 1, 5):
        link.ask(link.request("StateChange", b"abc"), cut=cut)
        event = None
        while event is None:
            plugin.receive_data(theirs.recv(3))
            event = plugin.next_event()
        assert isinstance(event, Request)
        assert (event.method, event.payload) == ("StateChange", b"abc")


def test_answers_are_matched_by_their_stream_and_frames_are_measured(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    first, second = link.ask(b""), link.ask(b"")
    frames = [mux.frame(1, ttrpc.encode_reply(stream, bytes([stream]))) for stream in (second, first)]
    theirs.sendall(b"".join(frames))
    assert [link.answer(stream, "it").payload for stream in (first, second)] == [bytes([first]), bytes([second])]
    assert link.payload_bytes == [(1, len(frame) - mux.HEADER_BYTES) for frame in frames]


def test_an_error_answer_is_a_violation_of_a_call(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    theirs.sendall(mux.frame(1, ttrpc.encode_error(1, 2, "no")))
    with pytest.raises(Violation, match="Configure: expected OK, got code 2: no"):
        link.call("Configure", api.ConfigureRequest())


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (b"", "none came"),
        (mux.frame(7, b"x"), "got one of 7"),
        (mux.frame(1, ttrpc.encode_frame(1, ttrpc.RESPONSE, b"\xff\xff")), "expected a ttRPC message on stream 1"),
        (mux.frame(1, b"\xff" * 10), "announces"),
        (b"\x00\x00\x00\x01\xff\xff\xff\xff", "announces"),
    ],
    ids=["nothing", "connection", "message", "ttrpc", "mux"],
)
def test_what_is_wrong_with_the_bytes_is_named(ends: tuple[Link, socket.socket], sent: bytes, found: str) -> None:
    link, theirs = ends
    theirs.sendall(sent)
    with pytest.raises(Violation, match=found):
        link.answer(1, "it")


def test_a_closed_connection_is_named(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    theirs.close()
    with pytest.raises(Violation, match="it closed the connection"):
        link.next_call("a call")
