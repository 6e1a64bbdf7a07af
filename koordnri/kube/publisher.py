"""Keeps something in the API server as koordnri wants it: one request per change, in a thread of its own, and again after a failure."""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from koordnri.kube.api import Api
from koordnri.kube.backoff import Pauses, Uniform
from koordnri.kube.errors import ApiRefused, KubeError, NotConfigured
from koordnri.kube.timing import Timing
from koordnri.model.log import Log

NOT_KNOWN_S = 1.0
"""s between attempts while it is not known what the API server has."""


class NotKnown(Exception):
    """What the API server has is not known yet. Raised by `_send`."""


class Publisher(ABC):
    """`start`, `changed`, `stop`.

    noun       of the thread's name: `kube-NOUN`
    on_death   called in the thread with the exception that ended it: a bug
    settle_s   what changes again within this time (s) after the first change is sent once
    spread_s   then a random part of this (s) is waited for: what changed may have changed on all nodes at the same moment
    """

    def __init__(
        self,
        api: Api,
        noun: str,
        on_death: Callable[[BaseException], None],
        log: Log,
        *,
        settle_s: float,
        spread_s: float = 0.0,
        timing: Timing | None = None,
        uniform: Uniform = random.uniform,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem = ""
        """why the last attempt failed; "" when it did not"""
        self._api = api
        self._on_death = on_death
        self._log = log
        self._timing = timing = timing or Timing()
        self._settle_s = settle_s
        self._spread_s = spread_s
        self._uniform = uniform
        self._pauses = Pauses(timing, uniform)
        self._clock = clock
        self._due_s: float | None = None
        """when the changes are sent that were not sent yet"""
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"kube-{noun}", daemon=True)

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop; what was sent stays."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def changed(self) -> None:
        """There is something to send. Any thread may call it, again and again; it never blocks."""
        if self._due_s is None:
            self._due_s = self._clock() + self._settle_s + self._uniform(0.0, self._spread_s)
            self._wake.set()

    def retry(self) -> None:
        """Send again soon, whatever was sent and failed: what stood in the way may be gone."""
        self._due_s = self._clock() + self._settle_s
        self._wake.set()

    # -- thread -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _send(self) -> None:
        """Send what is wanted now, if the API server does not have it. Raises KubeError, and NotKnown."""

    @abstractmethod
    def _not_sent(self, error: KubeError) -> None:
        """Report the first failure of several in a row."""

    def _run(self) -> None:
        pause_s: float | None = 0.0
        try:
            while not self._stopping:
                self._wake.wait(pause_s)
                self._wake.clear()
                if not self._stopping:
                    pause_s = self.step()
        except BaseException as error:  # noqa: BLE001  # a bug ends the daemon, as in every watch
            self._log.error("kube_publisher_died", thread=self._thread.name, exc_info=True)
            self._on_death(error)

    def step(self) -> float | None:
        """Send if that is due. Returns the seconds until the next step; None: until something changes."""
        due_s, generation = self._due_s, self._api.generation
        if due_s is None:
            return None
        if (left_s := due_s - self._clock()) > 0:
            return left_s
        self._due_s = None  # before it is sent: what changes meanwhile is sent again
        try:
            self._send()
        except NotKnown:
            self._due_s = due_s
            return NOT_KNOWN_S
        except KubeError as error:
            self._due_s = due_s
            return self._failed(error, generation)
        self.problem = ""
        self._pauses.reset()
        return 0.0

    def _failed(self, error: KubeError, generation: int) -> float:
        if not self.problem:
            self._not_sent(error)
        self.problem = str(error)
        status = error.status if isinstance(error, ApiRefused) else 0
        if status == 401:
            try:
                self._api.reload(generation)
            except NotConfigured as problem:
                self._log.warning("kube_credentials_bad", error=str(problem))
        elif status in (
            403,
            404,
            409,
        ):  # RBAC, no such object or kind, somebody else's: nothing that a retry in a second could mend
            return self._timing.absent_s
        return self._pauses.next(error.retry_after_s if isinstance(error, ApiRefused) else None)

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = "",
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        """The whole answer, so that the connection can be used again. Raises KubeError."""
        timing = self._timing
        with self._api.open(
            method,
            path,
            query,
            body=body,
            content_type=content_type,
            connect_s=timing.connect_s,
            read_s=timing.answer_s,
        ) as reply:
            return reply.read(within_s=timing.answer_s)
