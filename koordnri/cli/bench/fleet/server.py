"""A model of an API server for the watches of many nodes: lists, watches, bookmarks, 410, 429, and its absence.

The bodies that it sends are as small as possible. What is counted for them are the bytes and CPU times of usual ones (`costs`).
"""

from __future__ import annotations

from typing import Protocol

from koordnri.cli.bench.fleet import costs
from koordnri.cli.bench.fleet.admission import Admission, TooMany
from koordnri.cli.bench.fleet.clock import Clock
from koordnri.cli.bench.fleet.costs import Kind, Limits
from koordnri.cli.bench.fleet.traffic import Traffic
from koordnri.kube.errors import ApiRefused, Disconnected, KubeError, Unreachable
from koordnri.kube.steps import Request


class Client(Protocol):
    """One watch of one node."""

    kind: Kind
    connected: bool

    def item(self, version: int) -> str:
        """Its object as JSON, "" for none."""

    def fed(self, piece: bytes) -> None:
        """A piece of the answer has come."""

    def ended(self) -> None:
        """The answer has ended."""

    def failed(self, error: KubeError) -> None:
        """It has failed."""

    def opened(self) -> None:
        """The head of the answer has come."""


class Server:
    """Give it requests by `get` and `patch`; make things happen by `change`, `stop`, `start`, `disconnect`."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self.traffic = Traffic()
        self.watching: dict[Client, int] = {}
        """watches that are open → the number of that opening"""
        self._clock = clock
        self._limits = limits
        self._admission = Admission(limits)
        self._up = True
        self._opened = 0
        self._changed: dict[Client, int] = {}
        """version of the last change of each watch's object"""
        self._oldest = 0
        """A watch cannot resume from a version before this one."""

    @property
    def version(self) -> int:
        """The newest resourceVersion. It grows all the time, as that of a cluster does, in which each kubelet renews its Lease."""
        return 1 + int(self._clock.now * 1e6)

    # -- requests -----------------------------------------------------------------------------------------------------

    def get(self, client: Client, request: Request) -> None:
        """A list, or the beginning of a watch. What came of it reaches the client later."""
        kind, watch = client.kind, "watch" in request.query
        if not self._up:
            self._clock.after(self._limits.round_trip_s, lambda: client.failed(Unreachable("connection refused")))
            return
        cpu_s = costs.WATCH_CPU_S if watch else kind.list_cpu_s
        sent = costs.HEAD_BYTES + (0 if watch else kind.list_bytes)
        cpu_s, sent = self._connected(client, cpu_s, sent)
        try:
            ends_s = self._admitted(1 if watch else kind.list_seats, cpu_s, sent)
        except TooMany as full:
            self._clock.at(full.at_s + self._limits.round_trip_s, lambda: client.failed(self._refusal()))
            return
        answer = self._watch if watch else self._list
        self._clock.at(ends_s + self._limits.round_trip_s, lambda: answer(client, request))

    def patch(self) -> float:
        """A change of a Node, on a connection that is kept. Returns the time of its answer. Raises KubeError."""
        if not self._up:
            raise Unreachable("connection refused")
        try:
            return self._admitted(1, costs.PATCH_CPU_S, costs.HEAD_BYTES + costs.PATCH_BYTES)
        except TooMany:
            raise self._refusal() from None

    def _connected(self, client: Client, cpu_s: float, sent: int) -> tuple[float, int]:
        if client.connected:
            return cpu_s, sent
        client.connected = True
        return cpu_s + costs.HANDSHAKE_CPU_S, sent + costs.HANDSHAKE_BYTES

    def _admitted(self, seats: int, cpu_s: float, sent: int) -> float:
        now_s = self._clock.now
        try:
            begins_s, ends_s = self._admission.admit(now_s, seats, cpu_s)
        except TooMany:
            self.traffic.request(now_s, costs.REFUSAL_BYTES, costs.REFUSAL_CPU_S)
            self.traffic.refusal(now_s)
            raise
        self.traffic.request(now_s, 0, 0.0)
        self.traffic.waited(now_s, begins_s - now_s)
        self.traffic.sent(ends_s, sent, cpu_s)
        return ends_s

    def _refusal(self) -> ApiRefused:
        return ApiRefused("request", 429, "too many requests", self._limits.retry_after_s)

    def _list(self, client: Client, request: Request) -> None:
        if not self._up:
            client.connected = False
            client.failed(Disconnected("connection lost"))
            return
        version = self.version
        body = f'{{"kind":"{client.kind.kind}List","metadata":{{"resourceVersion":"{version}"}},'
        client.opened()
        client.fed(f'{body}"items":[{client.item(version)}]}}'.encode())
        client.ended()

    def _watch(self, client: Client, request: Request) -> None:
        if not self._up:
            client.connected = False
            client.failed(Disconnected("connection lost"))
        elif int(request.query["resourceVersion"]) < self._oldest:
            client.failed(ApiRefused("watch", 410, "too old resource version"))
        else:
            self._opened += 1
            number = self.watching[client] = self._opened
            client.opened()
            if self._changed.get(client, 0) > int(request.query["resourceVersion"]):
                self._send_change(client, number)
            self._bookmarks(client, number)
            self._clock.after(float(request.query["timeoutSeconds"]), lambda: self._timed_out(client, number))

    # -- what happens in a watch --------------------------------------------------------------------------------------

    def _bookmarks(self, client: Client, number: int) -> None:
        def send() -> None:
            if self.watching.get(client) == number:
                self._line(client, "BOOKMARK", _object(client.kind, self.version), client.kind.bookmark_bytes)
                self._bookmarks(client, number)

        self._clock.after(self._limits.bookmark_s, send)

    def _timed_out(self, client: Client, number: int) -> None:
        if self.watching.get(client) == number:
            del self.watching[client]
            client.ended()

    def change(self, client: Client) -> None:
        """The client's object has changed: it gets a line, now or when it watches again."""
        self._changed[client] = self.version
        number = self.watching.get(client)
        if number is not None:
            self._send_change(client, number)

    def _send_change(self, client: Client, number: int) -> None:
        text = client.item(self.version)

        def arrived() -> None:
            if self.watching.get(client) == number:
                self._line(client, "MODIFIED", text, client.kind.event_bytes)

        self._clock.at(self._admission.work(self._clock.now, costs.LINE_CPU_S), arrived)

    def _line(self, client: Client, type_: str, text: str, size: int) -> None:
        self.traffic.sent(self._clock.now, size, costs.LINE_CPU_S)
        client.fed(f'{{"type":"{type_}","object":{text}}}\n'.encode())

    # -- faults -------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """It ends. All connections break."""
        self._up = False
        self.disconnect(1)

    def start(self) -> None:
        """It is back. It knows nothing of what was before: all watches must list again."""
        self._up = True
        self._oldest = self.version
        self._admission = Admission(self._limits)

    def disconnect(self, every: int) -> None:
        """The connections of every n-th watch break, as when one of n API servers ends."""
        for client in list(self.watching)[::every]:
            del self.watching[client]
            client.connected = False
            client.failed(Disconnected("connection lost"))


def _object(kind: Kind, version: int) -> str:
    return f'{{"kind":"{kind.kind}","metadata":{{"resourceVersion":"{version}"}}}}'
