"""Keeps the annotation `koordnri.sh/policy` of this Node up to date: which policy is in force there, and since when.

    koordnri.sh/policy: REVISION@TIME

One patch per change of the revision; none after a restart under the same policy. RBAC: verb patch on nodes.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from koordnri.kube.api import Api
from koordnri.kube.backoff import Pauses, Uniform
from koordnri.kube.errors import ApiRefused, KubeError, NotConfigured
from koordnri.kube.timing import Timing
from koordnri.model.log import Log

KEY = "koordnri.sh/policy"
SETTLE_S = 1.0
"""A policy that changes again within this time (s) is published once."""
NOT_KNOWN_S = 1.0
"""s between questions for the annotation that the Node has, until it is known."""


class _Wanted(NamedTuple):
    revision: str
    since_s: float
    """wall clock"""
    asked_s: float
    """monotonic"""


class NodeAnnotation:
    """`start`, `want`, `stop`.

    present    the annotation that the Node has, "" for none; None while it is not known, or while the policy may not be read yet
    on_death   called in the thread with the exception that ended it: a bug
    """

    def __init__(
        self,
        api: Api,
        node: str,
        present: Callable[[], str | None],
        log: Log,
        on_death: Callable[[BaseException], None],
        *,
        timing: Timing | None = None,
        settle_s: float = SETTLE_S,
        uniform: Uniform = random.uniform,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.problem = ""
        """why the Node could not be annotated; "" when it could"""
        self._api = api
        self._path = f"/api/v1/nodes/{quote(node, safe='')}"
        self._present = present
        self._log = log
        self._on_death = on_death
        self._timing = timing = timing or Timing()
        self._pauses = Pauses(timing, uniform)
        self._settle_s = settle_s
        self._clock = clock
        self._now = now
        self._wanted: _Wanted | None = None
        self._done: _Wanted | None = None
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="kube-annotation", daemon=True)

    def start(self) -> None:
        """Start patching."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop; the annotation stays."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def want(self, revision: str) -> None:
        """This policy is in force. Any thread may call it, again and again; it never blocks."""
        if self._wanted is None or self._wanted.revision != revision:
            self._wanted = _Wanted(revision, self._now(), self._clock())
            self._wake.set()

    # -- thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s: float | None = 0.0
        try:
            while not self._stopping:
                self._wake.wait(pause_s)
                self._wake.clear()
                if not self._stopping:
                    pause_s = self._step()
        except BaseException as error:  # noqa: BLE001  # a bug ends the daemon, as in every watch
            self._log.error("kube_annotation_died", exc_info=True)
            self._on_death(error)

    def _step(self) -> float | None:
        """Patch the Node if that is due. Returns the seconds until the next step; None: until another policy is in force."""
        wanted = self._wanted
        if wanted is None or wanted is self._done:
            return None
        if (left_s := wanted.asked_s + self._settle_s - self._clock()) > 0:
            return left_s
        present = self._present()
        if present is None:
            return NOT_KNOWN_S
        if present.partition("@")[0] != wanted.revision and (pause_s := self._patch(wanted)):
            return pause_s
        self._done, self.problem = wanted, ""
        return 0.0 if self._wanted is not wanted else None

    def _patch(self, wanted: _Wanted) -> float:
        """Returns the seconds to wait before the next attempt; 0 when the Node has the annotation."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wanted.since_s))
        body = {"metadata": {"annotations": {KEY: f"{wanted.revision}@{since}"}}}
        generation, timing = self._api.generation, self._timing
        try:
            with self._api.open(
                "PATCH",
                self._path,
                body=msgspec.json.encode(body),
                content_type="application/merge-patch+json",
                connect_s=timing.connect_s,
                read_s=timing.answer_s,
            ) as reply:
                reply.read(within_s=timing.answer_s)  # to its end, so that the connection can be used again
        except KubeError as error:
            return self._failed(error, generation)
        self._pauses.reset()
        self._log.info("node_annotated", annotation=KEY, revision=wanted.revision)
        return 0.0

    def _failed(self, error: KubeError, generation: int) -> float:
        if not self.problem:
            self._log.warning("node_not_annotated", annotation=KEY, error=str(error))
        self.problem = str(error)
        status = error.status if isinstance(error, ApiRefused) else 0
        if status == 401:
            try:
                self._api.reload(generation)
            except NotConfigured as problem:
                self._log.warning("kube_credentials_bad", error=str(problem))
        elif status in (403, 404):  # RBAC, or no such Node: nothing that a retry in a second could mend
            return self._timing.absent_s
        return self._pauses.next(error.retry_after_s if isinstance(error, ApiRefused) else None)
