"""The decision history: each change of a field with its time, cause, old and new value. Bounded, in memory and on disk.

The event path and the reconciler only append references to a queue. `settle`, in another thread, makes lines of them: the same JSON lines
in memory and on disk.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from koordnri.chain import Snapshot
from koordnri.model import Container, Decision, Event, Pod
from koordnri.model.decision import NEW
from koordnri.state.causes import Cause, PassDone
from koordnri.state.history_files import HistoryFiles
from koordnri.state.history_line import HistoryLine, cut, encode, mark_of, read
from koordnri.state.history_maker import Decided, FileRefusal, Known, LineMaker, Passed, Refused

MOST_CHANGES = 4096
"""changes in memory"""
MOST_BYTES = 1 << 20
"""bytes of their lines"""
MOST_WAITING = 2048
"""events and passes that wait for `settle`; with more, the oldest are lost and counted"""


class History:
    """Any thread may call it; `load` and `flush` are for the main thread.

    snapshot   under which decisions are made now, until `follow`
    files      None: only in memory
    clock      Unix time in s
    """

    def __init__(
        self, snapshot: Snapshot, files: HistoryFiles | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._snapshot = snapshot
        self.lost = 0
        """events and passes that were dropped because too many waited"""
        self._files = files
        self._clock = clock
        self._waiting: deque[Decided | Passed | Refused] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._unwritten = 0
        """number of the newest lines that are not on disk yet"""
        self._next = 1
        self._maker = LineMaker(self._known)
        self._last_values: Known | None = None
        """while the lines of a start are made"""

    # -- what happens: called by the event path and the reconciler ----------------------------------------------------

    def decided(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """A container was decided and the reply was sent."""
        self._wait_for_settling(NEW(Decided, (self._clock(), pod, container, event, decision, self._snapshot)))

    def follow(self, snapshot: Snapshot) -> None:
        """From now on the event path decides with this snapshot."""
        self._snapshot = snapshot

    def passed(self, done: PassDone) -> None:
        """The reconciler has written files."""
        self._wait_for_settling(Passed(self._clock(), done))

    def refused(self, one: FileRefusal) -> None:
        """A file did not take its value."""
        self._wait_for_settling(Refused(self._clock(), one, self._snapshot))

    def _wait_for_settling(self, what: Decided | Passed | Refused) -> None:
        if len(self._waiting) == MOST_WAITING:
            self.lost += 1
        self._waiting.append(what)

    # -- what is kept -------------------------------------------------------------------------------------------------

    @property
    def problem(self) -> str:
        """Why changes are kept only in memory, though they should be on disk; "" otherwise."""
        return "" if self._files is None else self._files.problem

    @property
    def must_settle(self) -> bool:
        """Whether so much waits that `settle` should not be put off."""
        return len(self._waiting) >= MOST_WAITING * 3 // 4

    @property
    def newest(self) -> int:
        """Number of the newest line, 0 for none. It grows when decisions are settled: a second after the last event, or by a question."""
        return self._next - 1

    def load(self) -> None:
        """Continue the history that an earlier daemon left on disk. Lines that cannot be read are skipped."""
        if self._files is None:
            return
        lines = self._files.tail(MOST_BYTES)[-MOST_CHANGES:]
        with self._lock:
            for line in lines:
                if (change := read(line)) is not None:
                    self._keep(line)
                    self._next = max(self._next, change.n + 1)

    def settle(self) -> None:
        """Make lines of all that happened so far."""
        with self._lock:
            try:
                while self._waiting:
                    for line in self._maker.lines_of(self._waiting.popleft()):
                        self._add(line)
            finally:
                self._last_values = None

    def flush(self) -> None:
        """Settle, and write what is not on disk yet. Never raises."""
        self.settle()
        if self._files is None:
            return
        with self._lock:
            lines = list(islice(self._lines, len(self._lines) - self._unwritten, None))
            self._unwritten = 0
        if lines:
            self._files.append(lines)

    def last(self, count: int) -> list[HistoryLine]:
        """The newest changes of the node, oldest first."""
        self.settle()
        with self._lock:
            lines = list(islice(self._lines, max(0, len(self._lines) - count), None))
        return [change for line in lines if (change := read(line)) is not None]

    def of_pod(self, namespace: str, pod: str) -> Iterator[HistoryLine]:
        """All changes of a pod that are kept, oldest first: from disk, then those that are only in memory."""
        self.settle()
        with self._lock:
            lines = list(self._lines)
        first = next((change.n for line in lines if (change := read(line)) is not None), self._next)
        mark = mark_of(pod)
        for line in () if self._files is None else self._files.lines():
            if mark in line and (change := _of_pod(line, namespace, pod)) is not None and change.n < first:
                yield change
        for line in lines:
            if mark in line and (change := _of_pod(line, namespace, pod)) is not None:
                yield change

    def since_s(self) -> float | None:
        """Unix time of the oldest change that is kept; None while there is none."""
        oldest = next(iter(() if self._files is None else self._files.lines()), b"")
        with self._lock:
            in_memory = self._lines[0] if self._lines else b""
        times = [change.time_s for line in (oldest, in_memory) if (change := read(line)) is not None]
        return min(times, default=None)

    # -- lines, under the lock ----------------------------------------------------------------------------------------

    def _known(self) -> Known:
        """The last values of all fields that the memory has lines about."""
        if self._last_values is None:
            lines = filter(None, map(read, self._lines))
            self._last_values = {
                (one.namespace, one.pod, one.container, one.field): one.new
                for one in lines
                if one.cause != Cause.REFUSED
            }
        return self._last_values

    def _add(self, line: HistoryLine) -> None:
        line.n = self._next
        self._keep(encode(line))
        self._next += 1
        self._unwritten = min(self._unwritten + 1, len(self._lines))

    def _keep(self, line: bytes) -> None:
        lines = self._lines
        lines.append(line)
        self._bytes += len(line)
        while len(lines) > MOST_CHANGES or self._bytes > MOST_BYTES:
            self._bytes -= len(lines.popleft())


def _of_pod(line: bytes, namespace: str, pod: str) -> HistoryLine | None:
    change = read(line)
    return change if change is not None and (change.namespace, change.pod) == (cut(namespace), cut(pod)) else None
