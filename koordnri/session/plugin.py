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

from koordnri.model.log import Log
from koordnri.session.absence import Absence
from koordnri.session.brake import Brake
from koordnri.session.calls import Calls
from koordnri.session.handler import EventHandler
from koordnri.session.identity import Identity
from koordnri.session.intake import Intake
from koordnri.session.registration import Registration, State
from koordnri.session.responder import Responder
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.transport.backoff import Backoff
from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply, Request, Side
from koordnri.wire.errors import Code, RemoteProtocolError
from koordnri.wire.versions import NEWEST

BUSY_S = 0.1
"""After a request the next one is likely within this time."""
REGISTER_TIMEOUT_S = 30.0
"""Longest wait for the answer to RegisterPlugin. The runtime serves plugins one after the other, and reconnecting while it is busy with
another one would only lengthen its queue. So this is far above Go's 5 s (nri 292)."""
STABLE_S = 30.0
"""A connection that lasted this long was good: the next attempt waits no longer than a first one."""


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
        self.registration = registration = Registration()
        self.stats = registration.stats
        self._identity = identity
        self._socket_path = socket_path
        self._handler = handler
        self._log = log
        self._monotonic = monotonic
        self._calls = calls or Calls()
        self._responder = Responder(
            handler,
            registration,
            self._calls,
            log,
            monotonic,
            launched=identity.fd is not None,
            on_config=on_config,
            on_runtime=on_runtime,
        )
        self._on_absent = on_absent
        self._on_braked = on_braked
        self._pause = pause
        self._stopping = threading.Event()
        self._channel: Channel | None = None
        self._reader: threading.Thread | None = None
        self._absence = Absence()
        self._brake = Brake()
        self._reason = ""
        self._fatal: BaseException | None = None

    @property
    def state(self) -> State:
        """How far the session has come."""
        return self.registration.state

    @property
    def problem(self) -> str:
        """Why the state is not `synchronized`; for /readyz."""
        return self.registration.problem

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
            self.registration.enter(State.DISCONNECTED, f"connection lost: {reason}")
            if self._identity.fd is not None:
                break  # the runtime made this connection and will not make another
            if self._monotonic() - started >= STABLE_S:
                register.reset()
            # Waiting helps: the runtime removes a closed plugin only after its next event, and each registration costs the node.
            self._pause(self._stopping, max(register.next(), self._braked(reached, reason)))
        self.registration.enter(State.STOPPED, "stopped")

    def _braked(self, reached: State, reason: str) -> float:
        """Seconds to wait because registrations in a row failed during Synchronize; 0 when they did not."""
        if reached is State.SYNCHRONIZED:
            self._brake.reset()
        if reached is not State.CONFIGURED:
            return 0.0
        pause_s = self._brake.failed()
        if pause_s:
            intake = self._responder.intake
            problem = self.registration.problem = (
                f"{self._brake.unfinished} registrations in a row ended before Synchronize was done ({reason}; "
                f"{intake.parts} parts, {intake.received_bytes} bytes had come): not trying again for {pause_s / 60:.0f} min. "
                "See the runtime's log; containers with very large environments are a known cause"
            )
            self._log.error("registration_braked", error=problem, retry_in_s=pause_s)
            self._on_braked(problem)
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
            self.registration.problem = problem
            if self._absence.goes_on(self._monotonic()):
                self._on_absent(problem)
            return None
        self._absence.ended()
        return sock

    def _serve(self, sock: socket.socket) -> str:
        """Serve one connection until it ends. Returns why it ended."""
        channel = self._channel = Channel(sock, Side.PLUGIN, self._monotonic)
        self._responder.intake = Intake()
        self._reason = "closed by the runtime"
        self.registration.enter(State.REGISTERING, "waiting for the runtime's answer to RegisterPlugin")
        deadline = self._monotonic() + REGISTER_TIMEOUT_S
        self._start_reader(channel)
        try:
            name, index = self._identity.name, self._identity.index
            request = api.RegisterPluginRequest(plugin_name=name, plugin_idx=index, NRI_version=f"v{NEWEST}")
            channel.call("RegisterPlugin", request, REGISTER_TIMEOUT_S)
        except OSError as error:
            self._end(channel, f"cannot send RegisterPlugin: {error.strerror or error}")
        if self._stopping.is_set():
            channel.close()
        while not channel.ended.wait(self._watch_pause_s(channel)):
            if self.state is State.REGISTERING and self._monotonic() > deadline:
                self._end(channel, f"no answer to RegisterPlugin within {REGISTER_TIMEOUT_S:.0f} s")
            self._watch(channel)
            if self._responder.must_register_again() and not channel.unanswered():
                self._end(channel, "the policy asks for another failure policy, which is declared at registration")
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
            if now - arrived_s < budget_s or not self._responder.may_respond_early(request):
                continue
            try:
                replied = self._responder.respond_early(channel, request)
            except OSError as error:
                self._end(channel, f"cannot answer {request.method}: {error.strerror or error}")
                return
            if replied:
                self._log.warning("hook_overran", method=request.method, budget_s=budget_s)
                self.registration.count(request.method, "late")
                if request.method == "Synchronize":
                    self._responder.synchronized(channel)
                self._start_reader(channel)

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
                    if end := self._responder.respond(channel, event):
                        self._end(channel, end)
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
