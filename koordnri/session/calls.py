"""Our calls to the runtime. The session opens a channel for them while it is registered and synchronized."""

from __future__ import annotations

import queue
import threading

from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply


class NotConnected(Exception):
    """There is no registration by which the runtime could be called, or it ended before the answer."""


class NotRegistered(NotConnected):
    """Nothing was sent."""


class Calls:
    """Any thread may call `update_containers`, except the one that reads: the runtime may be waiting for its reply."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._lock = threading.Lock()
        self._waiting: dict[tuple[Channel, int], queue.SimpleQueue[Reply | None]] = {}
        """our calls that wait for their reply; None: the connection ended"""

    def update_containers(self, request: api.UpdateContainersRequest, timeout_s: float) -> Reply:
        """Change containers outside of a reply. Blocks until the runtime's reply, which may be an error.

        Before NRI 0.12.1 it may freeze the node (push.md). Raises NotRegistered, NotConnected (the connection ends meanwhile)
        and TimeoutError.
        """
        channel = self._channel
        if channel is None:
            raise NotRegistered("not registered with the runtime")
        answer: queue.SimpleQueue[Reply | None] = queue.SimpleQueue()
        try:
            with self._lock:  # so that the reply cannot arrive before we wait for it
                key = channel, channel.call("UpdateContainers", request, timeout_s)
                self._waiting[key] = answer
        except OSError as error:
            raise NotConnected(f"cannot send UpdateContainers: {error.strerror or error}") from error
        try:
            reply = None if channel.ended.is_set() else answer.get(timeout=timeout_s)
        except queue.Empty:
            channel.forget(key[1])
            raise TimeoutError(f"no answer to UpdateContainers within {timeout_s:.1f} s") from None
        finally:
            self._waiting.pop(key, None)
        if reply is None:
            raise NotConnected("the connection ended before the answer to UpdateContainers")
        return reply

    # -- the session --------------------------------------------------------------------------------------------------

    def open(self, channel: Channel) -> None:
        """Synchronize is answered: the runtime may be called on this channel."""
        self._channel = channel

    def close(self, channel: Channel) -> None:
        """The connection has ended: end all waiting calls."""
        self._channel = None
        for (of, _), answer in list(self._waiting.items()):
            if of is channel:
                answer.put(None)

    def take(self, channel: Channel, reply: Reply) -> bool:
        """Pass a reply to the call that waits for it. False when none does."""
        with self._lock:
            answer = self._waiting.get((channel, reply.stream))
        if answer is None:
            return False
        answer.put(reply)
        return True
