"""Sends Kubernetes Events about pods and this Node, for people who use kubectl.

The caller never waits: `post` puts the Event into a bounded table, and a separate thread sends it. A repeated reason on the same
object is one Event whose count grows. An Event may be lost; the node must not become slow, nor the API server flooded.

RBAC: verbs create and patch on core/v1 events, in all namespaces. A pod's Event lives in its namespace, a Node's in `default`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from koordnri.kube.api import Api
from koordnri.kube.backoff import Pauses, Uniform
from koordnri.kube.errors import ApiRefused, KubeError, NotConfigured
from koordnri.kube.event import Kind, Target, event_body, events_path, shortened, timestamp
from koordnri.kube.timing import Timing
from koordnri.model.log import Log

MAX_PENDING = 256
"""Most Events that wait to be sent, by object and reason; further ones are dropped and counted."""
MAX_REMEMBERED = 512
REMEMBERED_S = 3000.0
"""The API server keeps an Event for one hour. After this many seconds a new one is created instead of counting up the old."""
ATTEMPTS = 5
COMPONENT = "koordnri"
_GIVE_UP = range(400, 500)
_TRY_AGAIN = (401, 408, 429)


class _Key(NamedTuple):
    target: Target
    kind: Kind
    reason: str


@dataclass(slots=True)
class _Pending:
    message: str
    count: int
    first_s: float
    last_s: float
    due_s: float
    """monotonic clock; not to be sent before"""
    attempts: int = 0


@dataclass(slots=True)
class _Sent:
    """An Event that exists in the API server."""

    name: str
    count: int
    created_at: float
    sent_at: float


@dataclass(slots=True)
class EventStats:
    """Counters since the start."""

    posted: int = 0
    sent: int = 0
    """requests that succeeded; fewer than posted, because repetitions are sent together"""
    dropped: int = 0
    """posted, but the table was full or the API server refused it"""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """How many requests per second the API server gets."""

    burst: int = 20
    per_s: float = 0.2
    """after the burst"""
    repeat_s: float = 60.0
    """s between two requests for the same Event; meanwhile its count grows"""
    node_spread_s: float = 10.0
    """An Event on a Node waits a random part of this (s): a policy that is refused is refused by all nodes at once (5,000 nodes: 500
    requests per second)."""


class EventSender:
    """`start`, `post`, `stop`.

    node        the name of this node
    on_death    called in the sender's thread with the exception that ended it: a bug
    """

    def __init__(
        self,
        api: Api,
        node: str,
        log: Log,
        *,
        limits: EventLimits | None = None,
        timing: Timing | None = None,
        on_death: Callable[[BaseException], None] | None = None,
        uniform: Uniform = random.uniform,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.stats = EventStats()
        self._api = api
        self._node = node
        self._log = log
        self._on_death = on_death
        self._limits = limits = limits or EventLimits()
        self._timing = timing = timing or Timing()
        self._pauses = Pauses(timing, uniform)
        self._uniform = uniform
        self._clock = clock
        self._now = now
        self._tokens = float(limits.burst)
        self._tokens_at = clock()
        self._pending: OrderedDict[_Key, _Pending] = OrderedDict()
        self._sent: OrderedDict[_Key, _Sent] = OrderedDict()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="kube-events", daemon=True)

    def start(self) -> None:
        """Start sending; Events posted before are sent too."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop. Events that were not sent are lost."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def post(self, target: Target, reason: str, message: str, kind: Kind = "Warning") -> None:
        """Say something about a pod or Node. Never blocks, never raises. `reason` is one CamelCase word of a small set."""
        key, now = _Key(target, kind, reason), self._now()
        with self._wake:  # held for microseconds, never during a request
            self.stats.posted += 1
            pending = self._pending.get(key)
            if pending is not None:
                pending.message, pending.count, pending.last_s = message, pending.count + 1, now
            elif len(self._pending) >= MAX_PENDING:
                self.stats.dropped += 1
            else:
                spread_s = self._uniform(0.0, self._limits.node_spread_s) if target.kind == "Node" else 0.0
                self._pending[key] = _Pending(message, 1, now, now, self._clock() + spread_s)
                self._wake.notify()

    # -- thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:
            self._log.error("kube_events_died", exc_info=True)
            if self._on_death is None:
                raise
            self._on_death(error)

    def _serve(self) -> None:
        while True:
            with self._wake:
                key, wait_s = self._next()
                while key is None and not self._stopping:
                    self._wake.wait(wait_s)
                    key, wait_s = self._next()
                if self._stopping or key is None:
                    return
                pending = self._pending.pop(key)
                self._tokens -= 1
            pause_s = self._send(key, pending)
            if pause_s > 0:
                with self._wake:
                    self._wake.wait_for(lambda: self._stopping, pause_s)

    def _next(self) -> tuple[_Key | None, float | None]:
        """The next Event to send; else how long (s) to wait for one (None: until something is posted)."""
        if not self._pending:
            return None, None
        now, limits = self._clock(), self._limits
        self._tokens = min(float(limits.burst), self._tokens + (now - self._tokens_at) * limits.per_s)
        self._tokens_at = now
        if self._tokens < 1:
            return None, max(0.001, (1 - self._tokens) / limits.per_s) if limits.per_s > 0 else None
        soonest: float | None = None
        for key, pending in self._pending.items():
            sent = self._sent.get(key)
            due_s = pending.due_s if sent is None else max(pending.due_s, sent.sent_at + limits.repeat_s)
            if due_s <= now:
                return key, None
            soonest = due_s - now if soonest is None else min(soonest, due_s - now)
        return None, soonest

    def _send(self, key: _Key, pending: _Pending) -> float:
        """Send one Event. Returns the seconds to wait before the next request."""
        generation = self._api.generation
        try:
            self._write(key, pending)
        except KubeError as error:
            return self._failed(key, pending, error, generation)
        self._pauses.reset()
        self.stats.sent += 1
        return 0.0

    def _failed(self, key: _Key, pending: _Pending, error: KubeError, generation: int) -> float:
        status = error.status if isinstance(error, ApiRefused) else 0
        pending.attempts += 1
        hopeless = status in _GIVE_UP and status not in _TRY_AGAIN
        if hopeless or pending.attempts >= ATTEMPTS:
            self.stats.dropped += pending.count
            self._log.warning(
                "kube_event_lost", reason=key.reason, object=f"{key.target.kind} {key.target.name}", error=str(error)
            )
        else:
            self._put_back(key, pending)
        if hopeless:
            return 0.0  # the server answers; it refuses only this Event
        if status == 401:
            try:
                self._api.reload(generation)
            except NotConfigured as problem:
                self._log.warning("kube_credentials_bad", error=str(problem))
        return self._pauses.next(error.retry_after_s if isinstance(error, ApiRefused) else None)

    def _put_back(self, key: _Key, pending: _Pending) -> None:
        with self._wake:
            newer = self._pending.get(key)
            if newer is not None:
                newer.count += pending.count
                newer.first_s = pending.first_s
                newer.attempts = pending.attempts
            else:
                self._pending[key] = pending

    def _write(self, key: _Key, pending: _Pending) -> None:
        sent = self._sent.get(key)
        if sent is not None and self._clock() - sent.created_at < REMEMBERED_S:
            try:
                self._count_up(key, sent, pending)
            except ApiRefused as error:
                if error.status != 404:  # 404: it expired, or somebody deleted it
                    raise
            else:
                return
        self._create(key, pending)

    def _create(self, key: _Key, pending: _Pending) -> None:
        target = key.target
        # Names are unique by their time, as client-go's are; an object's name may have up to 253 characters.
        name = f"{target.name[:220]}.{time.time_ns():x}"
        body = {
            **event_body(target, name, key.kind, key.reason),
            "source": {"component": COMPONENT, "host": self._node},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._node,
            "firstTimestamp": timestamp(pending.first_s),
            **_newest(pending, pending.count),
        }
        self._request("POST", events_path(target), body, "application/json")
        now = self._clock()
        self._sent[key] = _Sent(name, pending.count, now, now)
        self._sent.move_to_end(key)
        while len(self._sent) > MAX_REMEMBERED:
            self._sent.popitem(last=False)

    def _count_up(self, key: _Key, sent: _Sent, pending: _Pending) -> None:
        count = sent.count + pending.count
        path = f"{events_path(key.target)}/{sent.name}"
        self._request("PATCH", path, _newest(pending, count), "application/merge-patch+json")
        sent.count, sent.sent_at = count, self._clock()
        self._sent.move_to_end(key)

    def _request(self, method: str, path: str, body: dict[str, Any], content_type: str) -> None:
        timing = self._timing
        data = msgspec.json.encode(body)
        with self._api.open(
            method, path, body=data, content_type=content_type, connect_s=timing.connect_s, read_s=timing.answer_s
        ) as reply:
            reply.read(within_s=timing.answer_s)  # to its end, so that the connection can be used again


def _newest(pending: _Pending, count: int) -> dict[str, Any]:
    """The part of an Event that each repetition changes."""
    return {"count": count, "message": shortened(pending.message), "lastTimestamp": timestamp(pending.last_s)}
