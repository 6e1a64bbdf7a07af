"""Our calls to the runtime: who gets which reply, and what happens without one."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from koordnri.session.calls import Calls, NotConnected
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply
from tests.support.waiting import PATIENCE_S, eventually

REQUEST = api.UpdateContainersRequest()


class FakeChannel:
    """A channel that numbers its calls and sends nothing."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.sent: list[str] = []
        self.forgotten: list[int] = []
        self.broken = False

    def call(self, method: str, message: Any, timeout_s: float) -> int:
        if self.broken:
            raise BrokenPipeError(32, "Broken pipe")
        self.sent.append(method)
        return len(self.sent)

    def forget(self, stream: int) -> None:
        self.forgotten.append(stream)


class Asking:
    """A thread that calls the runtime."""

    def __init__(self, calls: Calls) -> None:
        self.result: Any = None
        self._calls = calls
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        try:
            self.result = self._calls.update_containers(REQUEST, PATIENCE_S)
        except NotConnected as error:
            self.result = error

    def ended(self) -> Any:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.result


def reply(stream: int) -> Reply:
    return Reply(stream, 0, "", b"")


def opened() -> tuple[Calls, Any]:
    calls, channel = Calls(), FakeChannel()
    calls.open(channel)  # type: ignore[arg-type]  # as much of a channel as calls need
    return calls, channel


def test_each_call_gets_its_own_reply() -> None:
    calls, channel = opened()
    first = Asking(calls)
    eventually(lambda: len(channel.sent) == 1, "the first call")
    second = Asking(calls)
    eventually(lambda: len(channel.sent) == 2, "the second call")
    assert calls.take(channel, reply(2))
    assert calls.take(channel, reply(1))
    assert (first.ended().stream, second.ended().stream) == (1, 2)


def test_a_reply_that_nobody_waits_for_is_not_taken() -> None:
    calls, channel = opened()
    assert not calls.take(channel, reply(9))


def test_a_reply_that_does_not_come_is_forgotten() -> None:
    calls, channel = opened()
    with pytest.raises(TimeoutError, match=r"no answer to UpdateContainers within 0\.0 s"):
        calls.update_containers(REQUEST, 0.0)
    assert channel.forgotten == [1]
    assert not calls.take(channel, reply(1))


def test_the_end_of_the_connection_ends_those_who_wait() -> None:
    calls, channel = opened()
    asking = Asking(calls)
    eventually(lambda: channel.sent, "the call")
    calls.close(channel)
    assert isinstance(asking.ended(), NotConnected)
    with pytest.raises(NotConnected, match="not registered"):
        calls.update_containers(REQUEST, PATIENCE_S)


@pytest.mark.parametrize(("what", "words"), [("broken", "Broken pipe"), ("ended", "the connection ended")])
def test_a_connection_that_is_gone_is_reported(what: str, words: str) -> None:
    calls, channel = opened()
    if what == "broken":
        channel.broken = True
    else:
        channel.ended.set()
    with pytest.raises(NotConnected, match=words):
        calls.update_containers(REQUEST, PATIENCE_S)
