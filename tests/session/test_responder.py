"""Requests of the runtime and their replies, over a socket pair; PluginSession around it has a test file of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from google.protobuf.message import Message
from structlog.testing import LogCapture

from koordnri.chain import Chain, Snapshot
from koordnri.model import NodeState
from koordnri.policy import DEFAULT_POLICY
from koordnri.session.answer import Answer
from koordnri.session.calls import Calls
from koordnri.session.handler import EventHandler
from koordnri.session.registration import Registration, State
from koordnri.session.responder import Responder
from koordnri.state.ledger import Ledger
from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply, Request, Side


class Observed:
    """Nobody listens to decisions here."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Wire:
    """A responder on one end of a socket pair, the runtime's side on the other."""

    def __init__(self, log: Any) -> None:
        ours, theirs = socket.socketpair()
        self.plugin, self.runtime = Channel(ours, Side.PLUGIN), Channel(theirs, Side.RUNTIME)
        self.handler = EventHandler(Chain([]), Ledger(), Snapshot.of(DEFAULT_POLICY, NodeState(name="n")), Observed())
        self.registration = Registration()
        self.responder = Responder(self.handler, self.registration, Calls(), log)

    def ask(self, method: str, message: Message) -> Reply:
        self.runtime.call(method, message)
        request = self.plugin.next()
        assert isinstance(request, Request)
        assert self.responder.respond(self.plugin, request) == ""
        reply = self.runtime.next()
        assert isinstance(reply, Reply)
        return reply

    def close(self) -> None:
        for end in (self.plugin, self.runtime):
            end.close()
            end.release()


@pytest.fixture
def wire() -> Iterator[Wire]:
    it = Wire(structlog.wrap_logger(None, processors=[LogCapture()]))
    yield it
    it.close()


def test_configure_and_synchronize_make_a_registration(wire: Wire) -> None:
    answer = wire.ask("Configure", api.ConfigureRequest(runtime_name="containerd", runtime_version="v2.3.0"))
    assert api.ConfigureResponse.FromString(answer.payload).events
    assert wire.registration.state is State.CONFIGURED
    assert wire.ask("Synchronize", api.SynchronizeRequest(more=True)).code == 0
    assert wire.registration.state is State.CONFIGURED, "more parts come"
    wire.ask("Synchronize", api.SynchronizeRequest())
    assert wire.registration.state is State.SYNCHRONIZED


def test_a_bug_while_answering_is_counted_and_the_pod_starts(wire: Wire) -> None:
    def broken(method: str, payload: bytes) -> Answer:
        raise ZeroDivisionError

    wire.handler.handle = broken  # type: ignore[method-assign]
    assert wire.ask("StopContainer", api.StopContainerRequest()).code == 0
    assert wire.registration.stats.events == {("StopContainer", "error"): 1}


def test_a_bug_after_the_reply_is_counted_too(wire: Wire) -> None:
    wire.handler.handle = lambda method, payload: Answer(None, lambda: 1 // 0)  # type: ignore[assignment,method-assign]
    assert wire.ask("StopContainer", api.StopContainerRequest()).code == 0
    assert wire.registration.stats.events == {("StopContainer", "error"): 1}


def test_a_request_that_cannot_be_decoded_is_an_error_for_the_runtime(wire: Wire) -> None:
    wire.handler.handle = lambda method, payload: Answer(api.SynchronizeRequest.FromString(b"\xff"))  # type: ignore[assignment,method-assign]
    reply = wire.ask("CreateContainer", api.CreateContainerRequest())
    assert reply.code != 0
    assert "cannot decode" in reply.text
    assert wire.registration.stats.events == {("CreateContainer", "undecodable"): 1}


def test_what_was_answered_early_is_not_answered_again(wire: Wire) -> None:
    wire.runtime.call("CreateContainer", api.CreateContainerRequest())
    request = wire.plugin.next()
    assert isinstance(request, Request)
    assert wire.responder.may_respond_early(request)
    assert wire.responder.respond_early(wire.plugin, request)
    assert wire.responder.respond(wire.plugin, request) == ""
    assert wire.registration.stats.events == {}, "who replied early counts it"
