"""One connection: who may answer what, how it ends, and writing from several threads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Connection, Reply, Request, Side
from koordnri.wire.errors import Code, MessageTooLarge, RemoteProtocolError
from tests.support.waiting import PATIENCE_S

MIB = 1 << 20


class Pair:
    """Our channel, and the peer as a socket with the protocol's other end on it."""

    def __init__(self) -> None:
        ours, self.socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.now_s = 100.0
        self.channel = Channel(ours, Side.PLUGIN, lambda: self.now_s)
        self.peer = Connection(Side.RUNTIME)

    def ask(self, method: str = "Configure", config: str = "") -> None:
        self.socket.sendall(self.peer.call(method, api.ConfigureRequest(config=config))[1])

    def heard(self) -> Reply | Request:
        while (event := self.peer.next_event()) is None:
            data = self.socket.recv(65536)
            assert data, "the connection ended before the answer"
            self.peer.receive_data(data)
        return event


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.channel.close()
    pair.channel.release()
    pair.socket.close()


def asked(pair: Pair) -> Request:
    event = pair.channel.next()
    assert isinstance(event, Request)
    return event


def test_it_is_known_when_the_last_request_came(pair):
    assert pair.channel.last_s < 0
    pair.ask()
    pair.now_s = 101.5
    asked(pair)
    pair.now_s = 103.0
    assert pair.channel.last_s == 101.5


def test_a_request_is_answered_once_and_by_the_first(pair):
    pair.ask()
    request = asked(pair)
    assert pair.channel.answer(request, api.ConfigureResponse(events=7))
    assert not pair.channel.answer(request, api.ConfigureResponse(events=8))
    assert not pair.channel.answer_error(request, Code.UNKNOWN, "too late")
    reply = pair.heard()
    assert isinstance(reply, Reply)
    assert api.ConfigureResponse.FromString(reply.payload).events == 7
    pair.ask()
    assert pair.channel.answer_error(asked(pair), Code.UNKNOWN, "no")
    reply = pair.heard()
    assert isinstance(reply, Reply), "the second answers were not sent: this is the next request's"
    assert (reply.code, reply.text) == (2, "no")


def test_of_many_threads_one_answers(pair):
    pair.ask()
    request = asked(pair)
    ready = threading.Barrier(8)
    won: list[bool] = []

    def answer() -> None:
        ready.wait(PATIENCE_S)
        won.append(pair.channel.answer(request, None))

    threads = [threading.Thread(target=answer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(won) == [False] * 7 + [True]


def test_what_is_unanswered_is_known_with_its_arrival(pair):
    pair.ask()
    first = asked(pair)
    pair.now_s = 101.5
    pair.ask("Synchronize")
    second = asked(pair)
    assert pair.channel.unanswered() == [(first, 100.0), (second, 101.5)]
    pair.channel.answer(second, None)
    assert pair.channel.unanswered() == [(first, 100.0)]


def test_an_answer_that_is_too_large_becomes_an_error_and_the_connection_lives(pair):
    """The peer drops a connection on which more than 4 MiB come in one message."""
    pair.ask()
    assert pair.channel.answer(asked(pair), api.RegisterPluginRequest(plugin_name="x" * 5 * MIB))
    reply = pair.heard()
    assert isinstance(reply, Reply)
    assert reply.code == Code.RESOURCE_EXHAUSTED
    assert str(4 * MIB) in reply.text
    pair.ask()
    assert pair.channel.answer(asked(pair), None)


def test_a_call_that_is_too_large_is_our_error_and_sends_nothing(pair):
    with pytest.raises(MessageTooLarge):
        pair.channel.call("RegisterPlugin", api.RegisterPluginRequest(plugin_name="x" * 5 * MIB))
    pair.channel.call("RegisterPlugin", api.RegisterPluginRequest(plugin_name="koordnri", plugin_idx="10"), 1.5)
    request = pair.heard()
    assert isinstance(request, Request)
    assert api.RegisterPluginRequest.FromString(request.payload).plugin_name == "koordnri"
    assert request.timeout_ns == 1_500_000_000


def test_a_reply_is_known_by_the_stream_of_its_call(pair):
    streams = [pair.channel.call("UpdateContainers", api.UpdateContainersRequest()) for _ in range(2)]
    requests = [pair.heard(), pair.heard()]
    for request in reversed(requests):
        assert isinstance(request, Request)
        pair.socket.sendall(pair.peer.reply(request, None))
    replies = [pair.channel.next(), pair.channel.next()]
    assert [r.stream for r in replies if isinstance(r, Reply)] == list(reversed(streams))


def test_what_is_malformed_is_answered_by_the_channel_itself(pair):
    connection = Connection(Side.PLUGIN)  # calls the service that we do not serve
    pair.socket.sendall(
        connection.call("RegisterPlugin", api.RegisterPluginRequest())[1].replace(b"\0\0\0\2", b"\0\0\0\1", 1)
    )
    pair.peer.call("Configure", api.ConfigureRequest())  # so that the peer knows stream 1, on which the refusal comes
    pair.socket.shutdown(socket.SHUT_WR)
    assert pair.channel.next() is None
    reply = pair.heard()
    assert isinstance(reply, Reply)
    assert reply.code == Code.UNIMPLEMENTED


def test_the_end_of_the_connection_is_none(pair):
    pair.ask()
    pair.socket.shutdown(socket.SHUT_WR)
    assert asked(pair).method == "Configure"
    assert pair.channel.next() is None


def test_the_end_in_the_middle_of_a_frame_is_an_end_too(pair):
    pair.socket.sendall(pair.peer.call("Configure", api.ConfigureRequest(config="x" * 100))[1][:-20])
    pair.socket.shutdown(socket.SHUT_WR)
    assert pair.channel.next() is None


def test_a_violation_of_the_protocol_is_raised(pair):
    pair.socket.sendall(b"\0\0\0\1\x7f\xff\xff\xff" + b"x" * 64)
    with pytest.raises(RemoteProtocolError):
        pair.channel.next()


def in_a_reader(pair: Pair) -> tuple[threading.Thread, list[object]]:
    read: list[object] = []
    thread = threading.Thread(target=lambda: read.append(pair.channel.next()), daemon=True)
    thread.start()
    return thread, read


@pytest.mark.parametrize("how", ["close", "finish"])
def test_a_reader_that_waits_is_woken_at_the_end(pair, how):
    thread, read = in_a_reader(pair)
    getattr(pair.channel, how)()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert read == [None]


def test_finishing_lets_what_has_arrived_be_answered(pair):
    pair.ask()
    request = asked(pair)
    pair.channel.finish()
    assert pair.channel.answer(request, None)
    assert isinstance(pair.heard(), Reply)
    assert not pair.channel.ended.is_set()


def test_it_may_be_closed_more_than_once_and_after_the_peer(pair):
    pair.socket.close()
    pair.channel.close()
    pair.channel.close()
    assert pair.channel.ended.is_set()
    with pytest.raises(OSError, match=r"."):
        pair.channel.call("RegisterPlugin", api.RegisterPluginRequest())


def test_messages_of_several_threads_are_not_mixed(pair):
    """Frames larger than the socket's buffer: a write that is not whole would be torn apart by the next one."""
    texts = [str(i) * MIB for i in range(4)]

    def call(text: str) -> None:
        pair.channel.call("RegisterPlugin", api.RegisterPluginRequest(plugin_name=text))

    threads = [threading.Thread(target=call, args=(text,), daemon=True) for text in texts]
    for thread in threads:
        thread.start()
    heard = [pair.heard() for _ in texts]
    for thread in threads:
        thread.join(PATIENCE_S)
    names = [api.RegisterPluginRequest.FromString(r.payload).plugin_name for r in heard]
    assert sorted(names) == texts
    assert [r.stream for r in heard] == [1, 3, 5, 7], "ids ascend in the order of the bytes"
