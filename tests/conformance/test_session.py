"""The handshake, with a plugin of ours in the test's own thread."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from koordnri.conformance.link import Link
from koordnri.conformance.session import Session, request_of
from koordnri.conformance.violation import Violation
from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply, Side
from koordnri.wire.events import NRIEvent
from koordnri.wire.versions import NEWEST, Version

OLD = Version(0, 6, 1)


class InThisProcess:
    """A subject whose plugin is a thread of the test."""

    launched = False

    def __init__(self, serve: Callable[[Channel], None]) -> None:
        ours, theirs = socket.socketpair()
        self._link, self._channel = Link(ours, 10.0), Channel(theirs, Side.PLUGIN)
        self._thread = threading.Thread(target=serve, args=(self._channel,))
        self._thread.start()

    def link(self) -> Link:
        return self._link

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()
        self._thread.join(10)
        self._channel.release()


def plugin(index: str = "10", events: int = 0) -> Callable[[Channel], None]:
    def serve(channel: Channel) -> None:
        channel.call("RegisterPlugin", api.RegisterPluginRequest(plugin_name="p", plugin_idx=index))
        while (event := channel.next()) is not None:
            if not isinstance(event, Reply):
                channel.answer(event, api.ConfigureResponse(events=events) if event.method == "Configure" else None)

    return serve


def test_no_subscription_means_all_events_of_the_version() -> None:
    with InThisProcess(plugin()) as subject:
        session = Session(subject, OLD).open()
        assert session.events == tuple(event for event in NRIEvent if event <= NRIEvent.REMOVE_CONTAINER)
        assert session.event(NRIEvent.START_CONTAINER) == b""


def test_events_that_the_version_lacks_are_noted() -> None:
    with InThisProcess(plugin(events=0x3FFF)) as subject:
        assert Session(subject, OLD).open().unknown_events == 0x3800


def test_an_invalid_index_is_a_violation() -> None:
    with InThisProcess(plugin(index="1")) as subject, pytest.raises(Violation, match='index of two digits, got "1"'):
        Session(subject, NEWEST).open()


def test_events_are_sent_as_the_version_does() -> None:
    assert request_of(NRIEvent.START_CONTAINER, OLD)[0] == "StateChange"
    assert request_of(NRIEvent.START_CONTAINER, NEWEST)[0] == "StartContainer"
    assert request_of(NRIEvent.CREATE_CONTAINER, OLD)[0] == "CreateContainer"
    assert not request_of(NRIEvent.RUN_POD_SANDBOX, OLD)[1].HasField("container")
