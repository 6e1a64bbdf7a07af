"""List, then watch, for as long as the process lives: one machine, used by every noun.

    list ──▶ watch from the list's version ──(any end but 410)──▶ watch from the last version seen
      ▲                                    └─(410, or garbled thrice)──┐
      └────────────────── wait a random part of the spread ────────────┘

Bookmarks move the version while nothing happens, so that a resumed watch starts late enough not to be compacted away.
Source: Kubernetes API concepts, "Efficient detection of changes"; client-go's reflector for which version a list asks for.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from koordnri.kube.api import Api, Reply
from koordnri.kube.backoff import Pauses, Uniform
from koordnri.kube.decoding import Change, Decoding, Lines
from koordnri.kube.errors import Disconnected, Garbled, KubeError, NotConfigured, Refused, Silent, Unreachable
from koordnri.kube.listing import FROM_CACHE, FROM_ETCD, read_list
from koordnri.kube.objects import Object
from koordnri.kube.stats import Restart, WatchStats
from koordnri.kube.timing import Timing
from koordnri.model.log import Log

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

GARBLED_BEFORE_LIST = 3
"""So many garbled watches in a row, and the version that we resume from is no longer trusted."""
ABSENT_BEFORE_BELIEVED = 3
"""So many times in a row an API server must deny a kind that it had before: one that starts may do so by mistake."""
TOO_LARGE = "Too large resource version"
"""How an API server says that it has not come so far (504): its etcd was restored, or it lags behind another server."""


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """What is watched."""

    noun: str
    """for the thread's name and the metrics: `pods`"""
    path: str
    kind: str
    """of one object: `Pod`"""
    type: type[Object]
    """as which an object is decoded"""
    keep: Callable[[Any], T]
    """what of it is kept, and told to the sink"""
    selector: str
    """fieldSelector"""
    optional: bool = False
    """whether the API may do without this kind, as its definition is somebody's to install: then 404 means that there is no object"""


def itself(item: Any) -> Any:
    """What is kept of small objects."""
    return item


class Sink(Protocol[T_contra]):
    """Who is told, in the watch's thread. What it raises costs that object, or that list, and is logged with its trace."""

    def replaced(self, objects: Sequence[T_contra]) -> None:
        """These are all: what is not among them is gone."""

    def changed(self, item: T_contra) -> None:
        """New, or not as before."""

    def deleted(self, item: T_contra) -> None:
        """Gone; `item` is its last state."""


def wait(stop: threading.Event, pause_s: float) -> None:
    """Until the time is over or `stop` is set."""
    stop.wait(pause_s)


class Watch(Generic[T]):
    """One list and watch. `start`, `wait_synced`, `stop`.

    on_death        called in the watch's thread with what killed it: a bug in the watch itself
    pause, uniform, clock   time.monotonic and the like, or a test's stand-ins
    """

    def __init__(
        self,
        api: Api,
        resource: Resource[T],
        sink: Sink[T],
        log: Log,
        *,
        timing: Timing | None = None,
        on_death: Callable[[BaseException], None] | None = None,
        uniform: Uniform = random.uniform,
        pause: Callable[[threading.Event, float], None] = wait,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stats = WatchStats()
        self._api = api
        self._resource = resource
        self._sink = sink
        self._log = log.bind(watch=resource.noun)
        self._timing = timing = timing or Timing()
        self._on_death = on_death
        self._uniform = uniform
        self._pause = pause
        self._clock = clock
        self._decoding = Decoding(resource.kind, resource.type, resource.keep)
        self._pauses = Pauses(timing, uniform)
        self._garbled = 0
        self._told: Restart | None = None
        self._absences = 0
        self._absence_told = False
        self._version: str | None = None
        """to resume the watch from; None: list first"""
        self._list_version = FROM_CACHE
        """A list must be at least as new as this. "0": whatever the server's cache holds. "": the newest, read from etcd."""
        self._started_at = 0.0
        self._lines = 0
        self._generation = 0
        self._stop = threading.Event()
        self._synced = threading.Event()
        self._reply: Reply | None = None
        self._reply_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"kube-{resource.noun}", daemon=True)

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    @property
    def synced(self) -> bool:
        """Whether the objects were listed once: from then on the sink's view is complete, if perhaps old."""
        return self._synced.is_set()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def wait_synced(self, timeout_s: float) -> bool:
        """Wait for the first list. False when it did not come in time: `stats.problem` says why."""
        return self._synced.wait(timeout_s)

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the thread, also while it reads. One that is just connecting is left to end by itself after `timeout_s`."""
        self._stop.set()
        with self._reply_lock:
            if self._reply is not None:
                self._reply.abort()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                pause_s = self._round()
                if pause_s > 0 and not self._stop.is_set():
                    self._pause(self._stop, pause_s)
        except BaseException as error:
            self.stats.problem = f"the watch's thread died: {type(error).__name__}: {error}"
            self._log.error("kube_watch_died", exc_info=True)
            if self._on_death is None:
                raise
            self._on_death(error)

    # -- one round, and what follows from its end ---------------------------------------------------------------------

    def _round(self) -> float:
        """List if need be, watch until that ends; the seconds to wait before the next round."""
        self._generation = self._api.generation
        self._started_at = self._clock()
        self._lines = 0
        listing = self._version is None
        try:
            if listing:
                self._list()
                listing = False
                self._started_at = self._clock()
            self._watch()
        except KubeError as error:
            return 0.0 if self._stop.is_set() else self._after(error, listing)
        return 0.0 if self._stop.is_set() else self._ended()

    def _ended(self) -> float:
        self._count(Restart.ENDED)
        self._garbled = 0
        if self._served():
            self._pauses.reset()
            return 0.0
        # A server that hangs up at once, again and again, must not be asked a thousand times a second.
        return self._pauses.next()

    def _after(self, error: KubeError, listing: bool) -> float:
        reason = _reason(error)
        if reason is Restart.ABSENT:
            if not self._resource.optional:
                reason = Restart.REFUSED
            elif self._gone():
                return self._absent()
        else:
            self._absences = 0
        self._count(reason)
        if self._served() and (reason is not Restart.GARBLED or self._lasted()):
            self._pauses.reset()
        # A server that is away for an hour is worth one line, not one per attempt.
        new = self._pauses.failures == 0 or reason is not self._told
        self._told = reason
        pause_s = self._next(error, reason, listing)
        self.stats.problem = str(error)
        tell = self._log.warning if new else self._log.debug
        tell("kube_watch_restarted", reason=str(reason), error=str(error), retry_in_s=round(pause_s, 3))
        return pause_s

    def _gone(self) -> bool:
        """Whether a 404 is believed: of a kind that was there, not before it was said several times."""
        self._absences += 1
        return self.stats.lists == 0 or self._absences >= ABSENT_BEFORE_BELIEVED

    def _absent(self) -> float:
        """The API has no such kind: an answer as good as an empty list, and told once."""
        self._count(Restart.ABSENT)
        if not self._absence_told:
            self._absence_told = True
            self._log.info("kube_kind_absent", kind=self._resource.kind, asked_again_within_s=self._timing.absent_s)
        self._pauses.reset()
        self._garbled, self._version, self._list_version = 0, None, FROM_CACHE
        self.stats.problem = ""
        self._hand_over(self._sink.replaced, ())
        self._synced.set()
        return self._uniform(self._timing.absent_s / 2, self._timing.absent_s)

    def _next(self, error: KubeError, reason: Restart, listing: bool) -> float:
        """What this failure changes, and the pause before the next round."""
        first = self._pauses.failures == 0
        pause_s = self._pauses.next(error.retry_after_s if isinstance(error, Refused) else None)
        if reason is Restart.GARBLED:
            self._garbled += 1
            if self._garbled >= GARBLED_BEFORE_LIST:
                self._garbled = 0
                self._version = None
        else:
            self._garbled = 0
        if listing and isinstance(error, Refused) and (error.status == 410 or TOO_LARGE in error.message):
            # The server cannot list "at least as new as": it has compacted that version, or has not come so far.
            self._list_version = FROM_ETCD
        elif reason is Restart.EXPIRED:
            self._version = None
            return max(pause_s if not first else 0.0, self._uniform(0.0, self._timing.relist_spread_s))
        elif reason is Restart.UNAUTHORIZED:
            try:
                self._api.reload(self._generation)
            except NotConfigured as problem:
                self._log.warning("kube_credentials_bad", error=str(problem))
                return pause_s
            return 0.0 if first else pause_s
        return pause_s

    def _count(self, reason: Restart) -> None:
        self.stats.restarts[reason] += 1

    def _lasted(self) -> bool:
        return self._clock() - self._started_at >= self._timing.longest_pause_s

    def _served(self) -> bool:
        """Whether this round's watch was of use, so that the next failure is the first of a new streak."""
        return self._lines > 0 or (self._version is not None and self._lasted())

    # -- list ---------------------------------------------------------------------------------------------------------

    def _list(self) -> None:
        answer_s = self._timing.answer_s
        listed = read_list(self._decoding, lambda query: self._open(query, answer_s), self._list_version, answer_s)
        for problem in listed.problems:
            self._log.warning("kube_object_unusable", error=problem)
        self.stats.unusable += len(listed.problems)
        self.stats.lists += 1
        self._absences, self._absence_told = 0, False
        self._version = self._list_version = listed.version
        self._hand_over(self._sink.replaced, listed.objects)
        self._synced.set()
        self._log.debug("kube_listed", objects=len(listed.objects), version=listed.version)

    # -- watch --------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        timing = self._timing
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(max(1, round(self._uniform(timing.watch_s, timing.watch_s * 2)))),
        }
        with self._open(query, timing.silence_s) as reply:
            self.stats.problem = ""
            self._follow(reply)

    def _follow(self, reply: Reply) -> None:
        lines = Lines(reply.what)
        heard_at = self._clock()
        for piece in reply.chunks():
            for line in lines.feed(piece):
                if self._stop.is_set():
                    return
                self._take(self._decoding.line(reply.what, line))
                heard_at = self._clock()
            # The socket's own timeout does not notice a server that sends a byte now and then.
            if self._clock() - heard_at > self._timing.silence_s:
                raise Silent(f"{reply.what}: no whole line within {self._timing.silence_s:g} s")
        lines.end()

    def _take(self, change: Change[T]) -> None:
        if change.item is None:
            self.stats.bookmarks += 1
        else:
            tell = self._sink.deleted if change.type == "deleted" else self._sink.changed
            self._hand_over(tell, change.item)
            self.stats.events += 1
        self._version = self._list_version = change.version
        self._lines += 1

    def _hand_over(self, tell: Callable[[Any], None], what: Any) -> None:
        try:
            tell(what)
        except Exception as error:  # noqa: BLE001  # a bug of ours in what follows from one object must not end the process
            self.stats.unusable += 1
            self._log.error(
                "kube_object_unusable", error=f"bug in koordnri, {type(error).__name__}: {error}", exc_info=True
            )

    # -- connection ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self, query: dict[str, str], read_s: float) -> Iterator[Reply]:
        query = {**query, "fieldSelector": self._resource.selector}
        reply = self._api.open("GET", self._resource.path, query, connect_s=self._timing.connect_s, read_s=read_s)
        with reply:
            with self._reply_lock:
                self._reply = reply
                if self._stop.is_set():  # `stop` came while we were connecting, and found nothing to abort
                    reply.abort()
            try:
                yield reply
            finally:
                with self._reply_lock:
                    self._reply = None


def _reason(error: KubeError) -> Restart:
    match error:
        case Refused(status=410):
            return Restart.EXPIRED
        case Refused(status=401):
            return Restart.UNAUTHORIZED
        case Refused(status=403):
            return Restart.FORBIDDEN
        case Refused(status=404):
            return Restart.ABSENT
        case Refused(status=429):
            return Restart.THROTTLED
        case Refused():
            return Restart.REFUSED if error.retry_after_s is None else Restart.THROTTLED
        case Unreachable():
            return Restart.UNREACHABLE
        case Silent():
            return Restart.SILENT
        case Disconnected():
            return Restart.DISCONNECTED
        case Garbled():
            return Restart.GARBLED
        case _:
            return Restart.CREDENTIALS
