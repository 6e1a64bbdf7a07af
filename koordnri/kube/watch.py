"""Does the steps of one list and watch: a thread, a connection, a real clock. `Rounds` says what comes next."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from koordnri.kube.api import Api, ApiReply
from koordnri.kube.backoff import Uniform
from koordnri.kube.errors import KubeError
from koordnri.kube.resource import Resource, Sink
from koordnri.kube.rounds import Rounds
from koordnri.kube.stats import WatchStats
from koordnri.kube.steps import Request, Step, Wait
from koordnri.kube.timing import Timing
from koordnri.model.log import Log

T = TypeVar("T")


def wait(stop: threading.Event, pause_s: float) -> None:
    """Wait until `pause_s` is over or `stop` is set."""
    stop.wait(pause_s)


class Watch(Generic[T]):
    """One list and watch. `start`, `stop`.

    on_death        called in the watch's thread with the exception that ended it: a bug in the watch itself
    pause, uniform, clock   time.monotonic and the like, or a test's replacements
    rounds          what the watch does, without its thread
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
        self._api = api
        self._resource = resource
        self._log = log.bind(watch=resource.noun)
        self._timing = timing = timing or Timing()
        self._on_death = on_death
        self._pause = pause
        self._stop = threading.Event()
        self.rounds = Rounds(api, resource, sink, log, timing=timing, uniform=uniform, clock=clock, stop=self._stop)
        self._reply: ApiReply | None = None
        self._reply_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"kube-{resource.noun}", daemon=True)

    @property
    def stats(self) -> WatchStats:
        """What it did so far."""
        return self.rounds.stats

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    @property
    def synced(self) -> bool:
        """Whether the objects were listed once: from then on the sink has seen them all, perhaps in an older state."""
        return self.rounds.synced.is_set()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the thread, even while it reads. A thread that is just connecting ends by itself after `timeout_s`."""
        self._stop.set()
        with self._reply_lock:
            if self._reply is not None:
                self._reply.abort()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._follow(self.rounds.steps())
        except BaseException as error:
            self.stats.problem = f"the watch's thread died: {type(error).__name__}: {error}"
            self._log.error("kube_watch_died", exc_info=True)
            if self._on_death is None:
                raise
            self._on_death(error)

    def _follow(self, steps: Generator[Step, None, None]) -> None:
        step = next(steps)
        while not self._stop.is_set():
            if isinstance(step, Wait):
                self._pause(self._stop, step.pause_s)
                step = next(steps)
                continue
            try:
                self._request(step)
            except KubeError as error:
                if self._stop.is_set():
                    return
                step = steps.throw(error)
            else:
                if self._stop.is_set():
                    return
                step = next(steps)

    def _request(self, request: Request) -> None:
        with self._open(request) as reply:
            request.opened()
            within_s = request.within_s
            for piece in reply.chunks() if within_s is None else reply.pieces(within_s=within_s):
                request.feed(piece)

    @contextmanager
    def _open(self, request: Request) -> Iterator[ApiReply]:
        query = request.query
        if self._resource.selector:
            query = {**query, "fieldSelector": self._resource.selector}
        connect_s = self._timing.connect_s
        reply = self._api.open("GET", self._resource.path, query, connect_s=connect_s, read_s=request.read_s)
        with reply:
            with self._reply_lock:
                self._reply = reply
                if self._stop.is_set():  # `stop` ran while we connected, and had nothing to abort
                    reply.abort()
            try:
                yield reply
            finally:
                with self._reply_lock:
                    self._reply = None
