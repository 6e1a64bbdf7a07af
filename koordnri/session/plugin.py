"""The plugin's side of NRI: registers, is configured and synchronized, serves events, and reconnects when the connection is lost.

Threads: `nri` connects, keeps the handshake's deadlines and supervises the reader. `nri-read` reads, decides and replies, all in one
thread. If a hook holds the reader longer than the budget, `nri` replies instead and starts a new reader; the old one ends when the hook
returns.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from google.protobuf.message import DecodeError, Message

from koordnri.chain import ContainerRefused
from koordnri.model.log import Log
from koordnri.session.absence import Absence
from koordnri.session.answer import Answer
from koordnri.session.brake import Brake
from koordnri.session.calls import Calls
from koordnri.session.handler import SUBSCRIBED, EventHandler
from koordnri.session.identity import Identity
from koordnri.session.intake import Intake
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.transport.backoff import Backoff
from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply, Request, Side
from koordnri.wire.errors import Code, RemoteProtocolError
from koordnri.wire.events import subscription
from koordnri.wire.versions import Feature, has, sync_zombie, valid_event_mask

BUSY_S = 0.1
"""After a request the next one is likely within this time."""
REGISTER_TIMEOUT_S = 30.0
"""Longest wait for the answer to RegisterPlugin. The runtime serves plugins one after the other, and reconnecting while it is busy with
another one would only lengthen its queue. So this is far above Go's 5 s (nri 292)."""
STALE_SYNC_SHARE = 0.9
"""A Synchronize answered after this share of the request timeout may leave us connected but never sent an event (nri.md 3.4)."""
STABLE_S = 30.0
"""A connection that lasted this long was good: the next attempt waits no longer than a first one."""


class State(StrEnum):
    """How far the session has come."""

    DISCONNECTED = "disconnected"
    REGISTERING = "registering"
    CONFIGURED = "configured"
    SYNCHRONIZED = "synchronized"
    STOPPED = "stopped"


class SessionStats:
    """Plain numbers for `observe`."""

    def __init__(self) -> None:
        self.registrations = 0
        self.connections_lost = 0
        self.events: dict[tuple[str, str], int] = {}
        """(name of the event, outcome) → count; outcome: ok, late, refused, undecodable or error"""
        self.synchronized_at_s: float | None = None
        """when (s, wall clock)"""


class PluginSession:
    """Keeps one registration alive. `run` blocks until `stop`; other threads may call everything else.

    on_absent   called with the reason when the runtime's socket has not been there for a while, and once an hour while that lasts
    on_braked   called with the reason when registrations pause for minutes: too many in a row ended before Synchronize was done
    pause       waits for so many seconds, or until `stop`
    """

    def __init__(
        self,
        identity: Identity,
        socket_path: str,
        handler: EventHandler,
        log: Log,
        monotonic: Callable[[], float] = time.monotonic,
        calls: Calls | None = None,
        on_config: Callable[[str], None] = lambda text: None,
        on_runtime: Callable[[RuntimeInfo], None] = lambda runtime: None,
        on_absent: Callable[[str], None] = lambda problem: None,
        on_braked: Callable[[str], None] = lambda problem: None,
        pause: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self.state = State.DISCONNECTED
        self.stats = SessionStats()
        self.problem = "not connected yet"
        """why the state is not `synchronized`; for /readyz"""
        self._identity = identity
        self._socket_path = socket_path
        self._handler = handler
        self._log = log
        self._monotonic = monotonic
        self._calls = calls or Calls()
        self._on_config = on_config
        self._on_runtime = on_runtime
        self._on_absent = on_absent
        self._on_braked = on_braked
        self._pause = pause
        self._stopping = threading.Event()
        self._channel: Channel | None = None
        self._reader: threading.Thread | None = None
        self._intake = Intake()
        self._absence = Absence()
        self._brake = Brake()
        self._sync_started_s = 0.0
        self._reason = ""
        self._fatal: BaseException | None = None

    # -- life ---------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Connect, serve, and reconnect, until `stop`, or until a runtime that launched us disconnects.

        Raises what a bug in the reading thread raised, because a session that cannot read is of no use.
        """
        dial, register = Backoff(0.1, 1.0), Backoff(1.0, 60.0)
        while not self._stopping.is_set():
            sock = self._dial()
            if sock is None:
                self._pause(self._stopping, dial.next())
                continue
            dial.reset()
            started = self._monotonic()
            reason = self._serve(sock)
            if self._fatal is not None:
                raise self._fatal
            if self._stopping.is_set():
                break
            reached = self.state
            self._log.warning("connection_lost", reason=reason, state=reached.value)
            self.stats.connections_lost += 1
            self.problem, self.state = f"connection lost: {reason}", State.DISCONNECTED
            if self._identity.fd is not None:
                break  # the runtime made this connection and will not make another
            if self._monotonic() - started >= STABLE_S:
                register.reset()
            # Waiting helps: the runtime removes a closed plugin only after its next event, and each registration costs the node.
            self._pause(self._stopping, max(register.next(), self._braked(reached, reason)))
        self.state, self.problem = State.STOPPED, "stopped"

    def _braked(self, reached: State, reason: str) -> float:
        """Seconds to wait because registrations in a row failed during Synchronize; 0 when they did not."""
        if reached is State.SYNCHRONIZED:
            self._brake.reset()
        if reached is not State.CONFIGURED:
            return 0.0
        pause_s = self._brake.failed()
        if pause_s:
            intake = self._intake
            self.problem = (
                f"{self._brake.unfinished} registrations in a row ended before Synchronize was done ({reason}; "
                f"{intake.parts} parts, {intake.received_bytes} bytes had come): not trying again for {pause_s / 60:.0f} min. "
                "See the runtime's log; containers with very large environments are a known cause"
            )
            self._log.error("registration_braked", error=self.problem, retry_in_s=pause_s)
            self._on_braked(self.problem)
        return pause_s

    @property
    def is_busy(self) -> bool:
        """Whether the runtime sent a request just now."""
        channel = self._channel
        return channel is not None and self._monotonic() - channel.last_s < BUSY_S

    def stop(self) -> None:
        """End the session; `run` returns. Requests that have arrived are still answered."""
        self._stopping.set()
        channel = self._channel
        if channel is not None:
            channel.finish()

    # -- connecting: thread nri ---------------------------------------------------------------------------------------

    def _dial(self) -> socket.socket | None:
        if self._identity.fd is not None:
            return socket.socket(fileno=self._identity.fd)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(self._socket_path)
        except OSError as error:
            sock.close()
            problem = f"cannot connect to {self._socket_path}: {error.strerror or error}"
            if problem != self.problem:
                self._log.info("runtime_not_there", socket=self._socket_path, error=str(error))
            self.problem = problem
            if self._absence.goes_on(self._monotonic()):
                self._on_absent(problem)
            return None
        self._absence.ended()
        return sock

    def _serve(self, sock: socket.socket) -> str:
        """Serve one connection until it ends. Returns why it ended."""
        channel = self._channel = Channel(sock, Side.PLUGIN, self._monotonic)
        self._intake = Intake()
        self._reason = "closed by the runtime"
        self.state, self.problem = State.REGISTERING, "waiting for the runtime's answer to RegisterPlugin"
        deadline = self._monotonic() + REGISTER_TIMEOUT_S
        self._start_reader(channel)
        try:
            request = api.RegisterPluginRequest(plugin_name=self._identity.name, plugin_idx=self._identity.index)
            channel.call("RegisterPlugin", request, REGISTER_TIMEOUT_S)
        except OSError as error:
            self._end(channel, f"cannot send RegisterPlugin: {error.strerror or error}")
        if self._stopping.is_set():
            channel.close()
        while not channel.ended.wait(self._watch_pause_s(channel)):
            if self.state is State.REGISTERING and self._monotonic() > deadline:
                self._end(channel, f"no answer to RegisterPlugin within {REGISTER_TIMEOUT_S:.0f} s")
            self._watch(channel)
        self._channel = None
        self._calls.close(channel)
        if self._reader is not None:
            self._reader.join(timeout=1.0)
        channel.release()
        return self._reason

    def _watch_pause_s(self, channel: Channel) -> float:
        """An answer in a stuck reader's place is late by half a budget at most. While nothing is asked, half as many looks do."""
        half_s = min(self._handler.budget_s() / 2, 0.25)
        return half_s if channel.unanswered() else 2 * half_s

    def _watch(self, channel: Channel) -> None:
        """Reply in place of a reader that a hook holds, and start another reader."""
        now, budget_s = self._monotonic(), self._handler.budget_s()
        for request, arrived_s in channel.unanswered():
            if now - arrived_s < budget_s or not self._may_reply_early(request):
                continue
            try:
                replied = self._reply_early(channel, request)
            except OSError as error:
                self._end(channel, f"cannot answer {request.method}: {error.strerror or error}")
                return
            if replied:
                self._log.warning("hook_overran", method=request.method, budget_s=budget_s)
                self._count(request.method, "late")
                if request.method == "Synchronize":
                    self._synchronized()
                self._start_reader(channel)

    def _may_reply_early(self, request: Request) -> bool:
        """An empty answer to Configure would subscribe to everything; one to a part of Synchronize would end the connection."""
        if request.method == "Synchronize":
            return self._handler.inflight is not None
        return request.method != "Configure"

    def _reply_early(self, channel: Channel, request: Request) -> bool:
        try:
            message = self._handler.answer_early()
        except ContainerRefused as refusal:
            return channel.answer_error(request, Code.UNKNOWN, str(refusal))
        except Exception as error:  # noqa: BLE001  # as in _on_request, the node comes before the plugin
            self._event_failed(request.method, error)
            message = None
        return channel.answer(request, message)

    def _start_reader(self, channel: Channel) -> None:
        self._reader = threading.Thread(target=self._read, args=(channel,), name="nri-read", daemon=True)
        self._reader.start()

    def _end(self, channel: Channel, reason: str) -> None:
        # A reader that returns late from a hook must not end the next connection.
        if channel is self._channel:
            self._reason = reason
        channel.close()

    # -- reading: thread nri-read -------------------------------------------------------------------------------------

    def _read(self, channel: Channel) -> None:
        me = threading.current_thread()
        try:
            while (event := channel.next()) is not None:
                if isinstance(event, Request):
                    self._on_request(channel, event)
                else:
                    self._on_reply(channel, event)
                if self._reader is not me:
                    return  # a hook held us too long, and another reader has taken over
            channel.close()
        except (OSError, RemoteProtocolError) as error:
            self._end(channel, f"{type(error).__name__}: {error}")
        except BaseException as error:  # noqa: BLE001  # raised again by `run`: without a reader the process must end
            self._fatal = error
            channel.close()

    def _on_reply(self, channel: Channel, reply: Reply) -> None:
        if self._calls.take(channel, reply):
            return
        if reply.code != Code.OK:  # the reply to RegisterPlugin, our only other call
            # The runtime leaves this connection open and never uses it.
            self._log.error("registration_refused", code=reply.code, error=reply.text)
            self._end(channel, f"registration refused: {reply.text}")

    def _on_request(self, channel: Channel, request: Request) -> None:
        method, settle, event = request.method, None, ""
        try:
            if method == "Configure":
                message: Message | None = self._configure(request)
            elif method == "Synchronize":
                message, settle, _ = self._synchronize(request)
            else:
                message, settle, event = self._handler.handle(method, request.payload)
        except ContainerRefused as refusal:
            outcome = "refused" if channel.answer_error(request, Code.UNKNOWN, str(refusal)) else "late"
        except DecodeError as error:
            outcome = "undecodable"
            text = f"{method}: cannot decode {len(request.payload)} bytes: {error}"
            self._log.error("undecodable_request", method=method, error=text)
            channel.answer_error(request, Code.INVALID_ARGUMENT, text)
        except Exception as error:  # noqa: BLE001  # an error reply would fail the pod, so the bug is only counted
            outcome = "error"
            self._event_failed(method, error)
            channel.answer(request, None)
        else:
            if not channel.answer(request, message):
                return  # `nri` has replied meanwhile, so this decision is too late
            outcome = "ok"
            if settle is not None and not self._settled(method, settle):
                outcome = "error"
            if method == "Synchronize" and not getattr(message, "more", False):
                self._synchronized()
                self._drop_if_forgotten(channel)
        self._count(event or method, outcome)

    def _settled(self, method: str, settle: Callable[[], None]) -> bool:
        """Do the work left until after the reply. A bug here must not cost the registration."""
        try:
            settle()
        except Exception as error:  # noqa: BLE001  # counted and logged, as for the reply itself
            self._event_failed(method, error)
            return False
        return True

    def _event_failed(self, method: str, error: Exception) -> None:
        self._log.error("event_failed", method=method, error=f"{type(error).__name__}: {error}", exc_info=True)

    def _configure(self, call: Request) -> Message:
        request = api.ConfigureRequest.FromString(call.payload)
        runtime = self._handler.runtime = RuntimeInfo.of(request, call.timeout_ns)
        self.state, self.problem = State.CONFIGURED, "waiting for the runtime's Synchronize"
        self.stats.registrations += 1
        self._log.info("registered", runtime=runtime.name, version=runtime.version, nri=str(runtime.nri))
        self._on_runtime(runtime)
        if request.config:
            self._on_config(request.config)
        if self._identity.fd is not None and not has(runtime.nri, Feature.SPLIT_SYNC):
            self._synchronized()  # NRI < 0.7 sends no Synchronize to the plugins that it launches itself
        return api.ConfigureResponse(events=subscription(SUBSCRIBED, valid_event_mask(runtime.nri)))

    def _synchronize(self, request: Request) -> Answer:
        intake = self._intake
        if not intake.parts:
            self._sync_started_s = self._monotonic()
        if intake.take(request.payload):
            return Answer(api.SynchronizeResponse(more=True))
        self._intake = Intake()
        return self._handler.synchronize(intake.pods, intake.containers)

    def _drop_if_forgotten(self, channel: Channel) -> None:
        """After a late Synchronize some runtimes keep the connection and never use it: then only registering again helps."""
        runtime, took_s = self._handler.runtime, self._monotonic() - self._sync_started_s
        if took_s > STALE_SYNC_SHARE * runtime.request_timeout_s and sync_zombie(runtime.name, runtime.nri):
            self._end(
                channel,
                f"Synchronize took {took_s:.2f} s of {runtime.request_timeout_s:.2f} s: the runtime may have given us up",
            )

    def _synchronized(self) -> None:
        if self.state is State.CONFIGURED:
            if (channel := self._channel) is not None:
                self._calls.open(channel)
            self.state, self.problem = State.SYNCHRONIZED, ""
            self.stats.synchronized_at_s = time.time()
            self._log.info("synchronized")

    def _count(self, event: str, outcome: str) -> None:
        counts, key = self.stats.events, (event, outcome)
        counts[key] = counts.get(key, 0) + 1
