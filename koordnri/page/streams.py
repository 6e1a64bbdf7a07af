"""`GET /v1/changes`: server-sent events, one `changed` whenever another answer may have changed, at most one in a second.

The events carry no data: the page asks again. While nobody listens, nothing runs.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable

PACE_S = 1.0
"""s between two comparisons of the mark, and so at least between two events"""
KEEP_ALIVE_S = 15.0
"""after so many s without an event a comment is sent, so that proxies and clients see that the stream lives"""
MOST_STREAMS = 8
CONTENT_TYPE = "text/event-stream"
CHANGED = b"event: changed\ndata: \n\n"
KEEP_ALIVE = b":\n\n"
RETRY = b"retry: 3000\n\n"
"""ms until a browser connects again"""


class Streams:
    """The streams of one server. Each runs in the thread of its connection.

    mark   two marks are equal if no answer has changed in between; called once per stream and PACE_S
    """

    def __init__(self, mark: Callable[[], object], pace_s: float = PACE_S, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._mark = mark
        self._pace_s = pace_s
        self._keep_alive_s = keep_alive_s
        self._places = threading.BoundedSemaphore(MOST_STREAMS)
        self._ended = False

    def enter(self) -> bool:
        """Take a place. False: there is none; otherwise call `leave` afterwards."""
        return self._places.acquire(blocking=False)

    def leave(self) -> None:
        """Free the place."""
        self._places.release()

    def end(self) -> None:
        """All streams end within PACE_S."""
        self._ended = True

    def run(self, connection: socket.socket, send: Callable[[bytes], object]) -> None:
        """Send events until the client disconnects or sends something, or until `end`. Raises OSError when the client is gone."""
        seen = self._mark()
        send(RETRY)
        sent_at_s = time.monotonic()
        client = select.poll()  # not `select`: a descriptor's number may be above 1023
        client.register(connection, select.POLLIN)
        while not client.poll(self._pace_s * 1000) and not self._ended:
            now = self._mark()
            changed = now != seen
            if changed or time.monotonic() - sent_at_s >= self._keep_alive_s:
                send(CHANGED if changed else KEEP_ALIVE)
                seen, sent_at_s = now, time.monotonic()
