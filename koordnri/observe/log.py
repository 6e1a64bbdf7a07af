"""Logs: event names and keys, one line per event, written by a separate thread.

A log line must never delay a container: writing to a full pipe (a stuck log collector) blocks. So lines are queued, and when the queue
is full, dropped and counted.
"""

from __future__ import annotations

import collections
import json
import logging
import os
import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec

from koordnri.model.log import Log
from koordnri.observe.without import without

# structlog imports rich for coloured tracebacks, which we never print: 3.7 MiB, and 0.1 s of each start.
with without("rich"):
    import structlog

MAX_QUEUED = 10_000
MAX_QUEUED_CHARACTERS = 4 << 20
"""of all lines; each may take four bytes"""
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("json", "console")


class LineWriter:
    """Writes lines to a file descriptor from its own thread. `lost` counts lines dropped because the queue was full."""

    def __init__(self, fd: int) -> None:
        self.lost = 0
        self._fd = fd
        self._queue: collections.deque[str] = collections.deque()
        self._characters = 0
        """of the lines in the queue, about: whatever is lost by threads that count at once is right again when the queue is empty"""
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue one line, without its newline. Never blocks."""
        if len(self._queue) >= MAX_QUEUED or self._characters >= MAX_QUEUED_CHARACTERS:
            self.lost += 1
            return
        length = len(line)
        self._characters += length  # no call in between, so that no other thread runs meanwhile
        self._queue.append(line)
        self._wake.set()

    def close(self, timeout_s: float = 1.0) -> None:
        """Write the queued lines; give up after `timeout_s`."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue:
                line = self._queue.popleft()
                length = len(line)
                self._characters -= length
                data = f"{line}\n".encode(errors="replace")
                try:
                    while data:
                        data = data[os.write(self._fd, data) :]
                except OSError:
                    self.lost += 1  # nowhere to report it
            self._characters = 0
            if self._closing:
                return


def make_logger(writer: LineWriter, form: str = "json", level: str = "info") -> Log:
    """A logger that queues its lines on `writer`. `form` is one of FORMATS, `level` one of LEVELS."""
    render: Callable[[Any, str, MutableMapping[str, Any]], str]
    render = _json if form == "json" else _Console()
    return structlog.wrap_logger(  # type: ignore[no-any-return]  # structlog types it as Any
        _QueueLogger(writer.write),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )


class _QueueLogger:
    """The object that structlog calls with the rendered line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg = write


def _json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    ordered = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    ordered.update(event)
    try:
        return msgspec.json.encode(ordered, enc_hook=str).decode()
    except UnicodeEncodeError:  # a file name that is no UTF-8, decoded by os.fsdecode; keep the line
        return json.dumps(ordered, default=str)


class _Console:
    """`12:00:01 warning connection_lost reason=…`: for a person at a terminal."""

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        time, level, name = str(event.pop("timestamp"))[11:19], event.pop("level"), event.pop("event")
        trace = event.pop("exception", None)
        # Keep one event on one line, even when an error quotes a pod's annotation that has line breaks.
        keys = " ".join(f"{k}={v if str(v).isprintable() else repr(str(v))}" for k, v in event.items())
        return f"{time} {level:<7} {name} {keys}".rstrip() + (f"\n{trace}" if trace else "")
