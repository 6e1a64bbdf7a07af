"""List, then watch, as long as the process lives. One machine for every kind, without socket, thread or sleep.

    list ──▶ watch from the list's version ──(any end but 410)──▶ watch from the last version seen
      ▲                                    └─(410, or garbled thrice)──┐
      └────────────────── wait a random part of the spread ────────────┘

Bookmarks advance the version while nothing happens, so that a resumed watch starts at a version that is not compacted yet.
Sources: Kubernetes API concepts, "Efficient detection of changes"; client-go's reflector for which version a list asks for.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from koordnri.kube.backoff import Pauses, Uniform
from koordnri.kube.decoding import Decoding, Lines, WatchEvent
from koordnri.kube.errors import ApiRefused, KubeError, NotConfigured, Silent
from koordnri.kube.listing import FROM_CACHE, FROM_ETCD, read_list
from koordnri.kube.resource import Resource, Sink
from koordnri.kube.restart import Restart, restart_of
from koordnri.kube.stats import WatchStats
from koordnri.kube.steps import Request, Step, Wait
from koordnri.kube.timing import Timing
from koordnri.model.log import Log

T = TypeVar("T")

GARBLED_BEFORE_LIST = 3
"""After so many garbled watches in a row, the version that we resume from is not trusted any more."""
ABSENT_BEFORE_BELIEVED = 3
"""So many 404 in a row are needed to believe that a kind is gone: a server that is starting may answer so by mistake."""
TOO_LARGE = "Too large resource version"
"""The API server's error (504) when it has not reached our version: its etcd was restored, or it lags behind another server."""


class Credentials(Protocol):
    """What a 401 needs of `koordnri.kube.api.Api`."""

    generation: int

    def reload(self, generation: int) -> None:
        """Load them again, unless somebody has done so since `generation` was read. Raises NotConfigured."""


class Rounds(Generic[T]):
    """What to do next: `steps`. `koordnri.kube.watch.Watch` does it, and a simulation of many nodes.

    uniform, clock   random.uniform and time.monotonic, or a test's replacements
    stop             once it is set, nothing more is handed to the sink
    """

    def __init__(
        self,
        credentials: Credentials,
        resource: Resource[T],
        sink: Sink[T],
        log: Log,
        *,
        timing: Timing | None = None,
        uniform: Uniform = random.uniform,
        clock: Callable[[], float] = time.monotonic,
        stop: threading.Event,
    ) -> None:
        self.stats = WatchStats()
        self.synced = threading.Event()
        """the objects were listed once"""
        self._credentials = credentials
        self._resource = resource
        self._what = f"GET {resource.path}"
        self._sink = sink
        self._log = log.bind(watch=resource.noun)
        self._timing = timing = timing or Timing()
        self._uniform = uniform
        self._clock = clock
        self._stop = stop
        self._decoding = Decoding(resource.kind, resource.type, resource.keep)
        self._pauses = Pauses(timing, uniform)
        self._garbled = 0
        self._logged: Restart | None = None
        self._absences = 0
        self._absence_logged = False
        self._version: str | None = None
        """version to resume the watch from; None: list first"""
        self._list_version = FROM_CACHE
        """A list must be at least as new as this. "0": what the server's cache holds. "": the newest, read from etcd."""
        self._started_at = 0.0
        self._lines = 0
        self._heard_at = 0.0
        self._generation = 0

    def steps(self) -> Generator[Step, None, None]:
        """Without end. A request that failed is answered by throwing its KubeError."""
        while True:
            pause_s = yield from self._round()
            if pause_s > 0:
                yield Wait(pause_s)

    # -- one round and its end ----------------------------------------------------------------------------------------

    def _round(self) -> Generator[Request, None, float]:
        """List if needed, then watch until that ends. Returns the seconds to wait before the next round."""
        self._generation = self._credentials.generation
        self._started_at = self._clock()
        self._lines = 0
        listing = self._version is None
        try:
            if listing:
                yield from self._list()
                listing = False
                self._started_at = self._clock()
            yield from self._watch()
        except KubeError as error:
            return self._after(error, listing)
        return self._ended()

    def _ended(self) -> float:
        self._count(Restart.ENDED)
        self._garbled = 0
        if self._served():
            self._pauses.reset()
            return 0.0
        # A server that closes each watch at once must not be asked a thousand times per second.
        return self._pauses.next()

    def _after(self, error: KubeError, listing: bool) -> float:
        reason = restart_of(error)
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
        # A server that is down for an hour is logged once, not once per attempt.
        new = self._pauses.failures == 0 or reason is not self._logged
        self._logged = reason
        pause_s = self._next(error, reason, listing)
        self.stats.problem = str(error)
        log = self._log.warning if new else self._log.debug
        log("kube_watch_restarted", reason=str(reason), error=str(error), retry_in_s=round(pause_s, 3))
        return pause_s

    def _gone(self) -> bool:
        """Whether to believe a 404: for a kind that existed, only after several in a row."""
        self._absences += 1
        return self.stats.lists == 0 or self._absences >= ABSENT_BEFORE_BELIEVED

    def _absent(self) -> float:
        """The API has no such kind: treated as an empty list, and reported once."""
        self._count(Restart.ABSENT)
        if not self._absence_logged:
            self._absence_logged = True
            self._log.info("kube_kind_absent", kind=self._resource.kind, asked_again_within_s=self._timing.absent_s)
        self._pauses.reset()
        self._garbled, self._version, self._list_version = 0, None, FROM_CACHE
        self.stats.problem = ""
        self._hand_over(self._sink.replaced, ())
        self.synced.set()
        return self._uniform(self._timing.absent_s / 2, self._timing.absent_s)

    def _next(self, error: KubeError, reason: Restart, listing: bool) -> float:
        """Handle a failure. Returns the pause (s) before the next round."""
        first = self._pauses.failures == 0
        pause_s = self._pauses.next(error.retry_after_s if isinstance(error, ApiRefused) else None)
        if reason is Restart.GARBLED:
            self._garbled += 1
            if self._garbled >= GARBLED_BEFORE_LIST:
                self._garbled = 0
                self._version = None
        else:
            self._garbled = 0
        if listing and isinstance(error, ApiRefused) and (error.status == 410 or TOO_LARGE in error.message):
            # The server cannot list from that version: it has compacted it, or has not reached it.
            self._list_version = FROM_ETCD
        elif reason is Restart.EXPIRED:
            self._version = None
            return max(pause_s if not first else 0.0, self._uniform(0.0, self._timing.relist_spread_s))
        elif reason is Restart.DISCONNECTED and first:
            # Those of other nodes broke with it. The first pause alone would bring them all back within half a second.
            return self._uniform(0.0, max(pause_s, self._timing.resume_spread_s))
        elif reason is Restart.UNAUTHORIZED:
            try:
                self._credentials.reload(self._generation)
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
        """Whether this round's watch lasted or brought something; then the next failure begins a new streak."""
        return self._lines > 0 or (self._version is not None and self._lasted())

    # -- list ---------------------------------------------------------------------------------------------------------

    def _list(self) -> Generator[Request, None, None]:
        listed = yield from read_list(self._decoding, self._what, self._list_version, self._timing.answer_s)
        for problem in listed.problems:
            self._log.warning("kube_object_unusable", error=problem)
        self.stats.unusable += len(listed.problems)
        self.stats.lists += 1
        self._absences, self._absence_logged = 0, False
        self._version = self._list_version = listed.version
        self._hand_over(self._sink.replaced, listed.objects)
        self.synced.set()
        self._log.debug("kube_listed", objects=len(listed.objects), version=listed.version)

    # -- watch --------------------------------------------------------------------------------------------------------

    def _watch(self) -> Generator[Request, None, None]:
        timing = self._timing
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(max(1, round(self._uniform(timing.watch_s, timing.watch_s * 2)))),
        }
        lines = Lines(self._what)
        yield Request(query, timing.silence_s, None, lambda piece: self._read(lines, piece), self._opened)
        lines.end()

    def _opened(self) -> None:
        self.stats.problem = ""
        self._heard_at = self._clock()

    def _read(self, lines: Lines, piece: bytes) -> None:
        for line in lines.feed(piece):
            if self._stop.is_set():
                return
            self._take(self._decoding.line(self._what, line))
            self._heard_at = self._clock()
        # The socket's timeout does not notice a server that sends a byte now and then.
        if self._clock() - self._heard_at > self._timing.silence_s:
            raise Silent(f"{self._what}: no whole line within {self._timing.silence_s:g} s")

    def _take(self, change: WatchEvent[T]) -> None:
        if change.item is None:
            self.stats.bookmarks += 1
        else:
            take = self._sink.deleted if change.type == "deleted" else self._sink.changed
            self._hand_over(take, change.item)
            self.stats.events += 1
        self._version = self._list_version = change.version
        self._lines += 1

    def _hand_over(self, take: Callable[[Any], None], what: Any) -> None:
        try:
            take(what)
        except Exception as error:  # noqa: BLE001  # a bug in what we do with one object must not end the process
            self.stats.unusable += 1
            self._log.error(
                "kube_object_unusable", error=f"bug in koordnri, {type(error).__name__}: {error}", exc_info=True
            )
