"""The decision history: each change of a field with its time, cause, old and new value. Bounded, in memory and on disk.

The event path and the reconciler only append references to a queue. `settle`, in another thread, makes lines of them: the same JSON lines
in memory and on disk. A field that is written into a file counts when it is written, with the values read before and after; one that the
runtime is sent counts when it is sent.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from koordnri.chain import Snapshot
from koordnri.model import Container, Decision, Event, Pod, Setting
from koordnri.model.decision import NEW
from koordnri.model.difference import baseline_value, changes
from koordnri.model.fields import split_name
from koordnri.model.routes import WRITE
from koordnri.state.causes import Cause, Difference, PassDone, Place
from koordnri.state.history_files import HistoryFiles
from koordnri.state.history_line import HistoryLine, cut, encode, mark_of, plain, read

MOST_CHANGES = 4096
"""changes in memory"""
MOST_BYTES = 1 << 20
"""bytes of their lines"""
MOST_WAITING = 2048
"""events and passes that wait for `settle`; with more, the oldest are lost and counted"""
MOST_REMEMBERED = 4096
"""fields whose last change is remembered, and pods whose creation or name is"""
BIRTH_S = 10.0
"""s after the creation of a container: a first write in this time belongs to the creation"""
GIVEN_BACK = "given back: nothing decides it any more"


class _Decided(NamedTuple):
    time_s: float
    pod: Pod
    container: Container
    event: Event
    decision: Decision
    snapshot: Snapshot


class _Passed(NamedTuple):
    time_s: float
    done: PassDone


class Refusal(NamedTuple):
    """A file that did not take its value, even after retries."""

    place: Place
    value: Any
    error: str


class _Refused(NamedTuple):
    time_s: float
    one: Refusal
    snapshot: Snapshot


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
        self._waiting: deque[_Decided | _Passed | _Refused] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._unwritten = 0
        """number of the newest lines that are not on disk yet"""
        self._next = 1
        self._sent: OrderedDict[tuple[str, str], Any] = OrderedDict()
        """(id of the owner, field) → value in its last change, None unless an update of ours carries it to a running container"""
        self._born: OrderedDict[str, float] = OrderedDict()
        """id of a pod → when its last container was created"""
        self._names: OrderedDict[str, str] = OrderedDict()
        """key of a pod with exclusive CPUs → its name for people"""

    # -- what happens: called by the event path and the reconciler ----------------------------------------------------

    def decided(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """A container was decided and the reply was sent."""
        self._wait_for_settling(NEW(_Decided, (self._clock(), pod, container, event, decision, self._snapshot)))

    def follow(self, snapshot: Snapshot) -> None:
        """From now on the event path decides with this snapshot."""
        self._snapshot = snapshot

    def passed(self, done: PassDone) -> None:
        """The reconciler has written files."""
        self._wait_for_settling(_Passed(self._clock(), done))

    def refused(self, one: Refusal) -> None:
        """A file did not take its value."""
        self._wait_for_settling(_Refused(self._clock(), one, self._snapshot))

    def _wait_for_settling(self, what: _Decided | _Passed | _Refused) -> None:
        if len(self._waiting) == MOST_WAITING:
            self.lost += 1
        self._waiting.append(what)

    # -- what is kept -------------------------------------------------------------------------------------------------

    @property
    def problem(self) -> str:
        """Why changes are kept only in memory, though they should be on disk; "" otherwise."""
        return "" if self._files is None else self._files.problem

    def load(self) -> None:
        """Continue the history that an earlier daemon left on disk. Lines that are none are passed over."""
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
            while self._waiting:
                what = self._waiting.popleft()
                if isinstance(what, _Decided):
                    self._settle_decided(what)
                elif isinstance(what, _Passed):
                    self._settle_pass(what.time_s, what.done)
                else:
                    self._settle_refused(what)

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

    def _settle_decided(self, what: _Decided) -> None:
        _, pod, container, event, decision, snapshot = what
        node = snapshot.node
        if pod.key in node.exclusive_cpus:
            _remember(self._names, pod.key, f"{pod.namespace}/{pod.name}")
        if event is Event.CREATE:
            _remember(self._born, pod.id, what.time_s)
            self._add_sent(what, Cause.CREATION, _set_at_creation(decision, container, snapshot))
        else:
            cause = Cause.RESIZE if event is Event.UPDATE else Cause.START
            self._add_sent(what, cause, changes(decision, container.stored, node))

    def _add_sent(self, what: _Decided, cause: Cause, settings: Iterable[Setting]) -> None:
        creation, container, snapshot = cause is Cause.CREATION, what.container, what.snapshot
        before = container.baseline if creation else container.stored
        for setting in settings:
            name = setting.field.named(setting.key)
            old = None if setting.field.keyed else baseline_value(setting.field, before, snapshot.node)
            _remember(self._sent, (container.id, name), None if creation else setting.value)
            place = Place(what.pod, "", container.name, name)
            self._add(what.time_s, place, cause, old, setting.value, snapshot, hook=setting.hook, reason=setting.reason)

    def _settle_pass(self, time_s: float, done: PassDone) -> None:
        difference = Difference(done.was, done.now, lambda key: self._names.get(key, "another pod"))
        for one in done.written:
            pod, name = one.place.pod, one.place.name
            field, _ = split_name(name)
            key = (one.owner_id, name)
            first, sent = key not in self._sent, self._sent.get(key)
            _remember(self._sent, key, None)
            if not one.drift and field is not None and sent is not None and field.same(sent, one.after):
                continue  # its line says that it was sent; the reconciler was faster than the runtime
            born = first and pod is not None and time_s < self._born.get(pod.id, 0.0) + BIRTH_S
            cause, detail = difference.cause(one, done.trigger, born=born)
            decision = done.decisions.get((one.place.kube_class if pod is None else pod.id, one.place.container))
            setting = None if decision is None else decision.settings.get(name)
            hook, reason = (
                ("", GIVEN_BACK if one.restores else "") if setting is None else (setting.hook, setting.reason)
            )
            self._add(
                time_s, one.place, cause, one.before, one.after, done.now, detail=detail, hook=hook, reason=reason
            )

    def _settle_refused(self, what: _Refused) -> None:
        one = what.one
        if split_name(one.place.name)[0] is not None:  # otherwise it is about the pod's cgroup as a whole
            self._add(what.time_s, one.place, Cause.REFUSED, None, one.value, what.snapshot, detail=one.error)

    def _add(
        self,
        time_s: float,
        place: Place,
        cause: Cause,
        old: Any,
        new: Any,
        snapshot: Snapshot,
        *,
        detail: str = "",
        hook: str = "",
        reason: str = "",
    ) -> None:
        pod = place.pod
        change = HistoryLine(
            n=self._next,
            time_s=time_s,
            namespace="" if pod is None else cut(pod.namespace),
            pod="" if pod is None else cut(pod.name),
            kube_class=place.kube_class,
            container=cut(place.container),
            field=cut(place.name),
            cause=cause.value,
            old=plain(old),
            new=plain(new),
            detail=cut(detail),
            hook=cut(hook),
            reason=cut(reason),
            revision=cut(snapshot.policy.revision),
        )
        self._next += 1
        self._unwritten += 1
        self._keep(encode(change))
        self._unwritten = min(self._unwritten, len(self._lines))

    def _keep(self, line: bytes) -> None:
        lines = self._lines
        lines.append(line)
        self._bytes += len(line)
        while len(lines) > MOST_CHANGES or self._bytes > MOST_BYTES:
            self._bytes -= len(lines.popleft())


def _of_pod(line: bytes, namespace: str, pod: str) -> HistoryLine | None:
    change = read(line)
    return change if change is not None and (change.namespace, change.pod) == (cut(namespace), cut(pod)) else None


def _set_at_creation(decision: Decision, container: Container, snapshot: Snapshot) -> Iterator[Setting]:
    """What the reply to a creation carries, and kubelet did not ask for."""
    for setting in decision.settings.values():
        if setting.route != WRITE:
            asked = None if setting.field.keyed else baseline_value(setting.field, container.baseline, snapshot.node)
            if asked is None or not setting.field.same(asked, setting.value):
                yield setting


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    """Store it as the newest; forget the oldest when there are too many."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > MOST_REMEMBERED:
        known.popitem(last=False)
