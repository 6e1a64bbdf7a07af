"""Answers the runtime's requests. A bug in doing so costs neither the pod nor the registration: it is counted and logged."""

from __future__ import annotations

import time
from collections.abc import Callable

from google.protobuf.message import DecodeError, Message

from koordnri.chain import ContainerRefused
from koordnri.model.log import Log
from koordnri.session.answer import Answer
from koordnri.session.calls import Calls
from koordnri.session.handler import SUBSCRIBED, EventHandler
from koordnri.session.intake import Intake
from koordnri.session.registration import Registration, State
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Request
from koordnri.wire.errors import Code
from koordnri.wire.events import subscription
from koordnri.wire.versions import Feature, has, sync_zombie, valid_event_mask

STALE_SYNC_SHARE = 0.9
"""A Synchronize answered after this share of the request timeout may leave us connected but never sent an event (nri.md 3.4)."""


class Responder:
    """`respond` is for the thread that reads; `respond_early` for the one that replies in its place.

    launched    whether the runtime has launched us
    on_config   called with the configuration that the runtime sent, if any
    on_runtime  called when a runtime has accepted our registration
    """

    def __init__(
        self,
        handler: EventHandler,
        registration: Registration,
        calls: Calls,
        log: Log,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        launched: bool = False,
        on_config: Callable[[str], None] = lambda text: None,
        on_runtime: Callable[[RuntimeInfo], None] = lambda runtime: None,
    ) -> None:
        self.intake = Intake()
        """the parts of Synchronize that have come"""
        self._handler = handler
        self._registration = registration
        self._calls = calls
        self._log = log
        self._monotonic = monotonic
        self._launched = launched
        self._on_config = on_config
        self._on_runtime = on_runtime
        self._sync_started_s = 0.0

    def respond(self, channel: Channel, request: Request) -> str:
        """Reply, then do what can wait until after the reply. Returns why the connection must end; "" when it need not."""
        method, settle, event, end = request.method, None, "", ""
        try:
            if method == "Configure":
                message: Message | None = self._configure(channel, request)
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
                return ""  # `nri` has replied meanwhile, so this decision is too late
            outcome = "ok"
            if settle is not None and not self._settled(method, settle):
                outcome = "error"
            if method == "Synchronize" and not getattr(message, "more", False):
                self.synchronized(channel)
                end = self._forgotten()
        self._registration.count(event or method, outcome)
        return end

    def may_respond_early(self, request: Request) -> bool:
        """An empty answer to Configure would subscribe to everything; one to a part of Synchronize would end the connection."""
        if request.method == "Synchronize":
            return self._handler.inflight is not None
        return request.method != "Configure"

    def respond_early(self, channel: Channel, request: Request) -> bool:
        """Reply with what is decided so far. Returns whether it was not answered yet."""
        try:
            message = self._handler.answer_early()
        except ContainerRefused as refusal:
            return channel.answer_error(request, Code.UNKNOWN, str(refusal))
        except Exception as error:  # noqa: BLE001  # as in `respond`, the node comes before the plugin
            self._event_failed(request.method, error)
            message = None
        return channel.answer(request, message)

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

    def _configure(self, channel: Channel, call: Request) -> Message:
        request = api.ConfigureRequest.FromString(call.payload)
        runtime = self._handler.runtime = RuntimeInfo.of(request, call.timeout_ns)
        self._registration.enter(State.CONFIGURED, "waiting for the runtime's Synchronize")
        self._registration.stats.registrations += 1
        self._log.info("registered", runtime=runtime.name, version=runtime.version, nri=str(runtime.nri))
        self._on_runtime(runtime)
        if request.config:
            self._on_config(request.config)
        if self._launched and not has(runtime.nri, Feature.SPLIT_SYNC):
            self.synchronized(channel)  # NRI < 0.7 sends no Synchronize to the plugins that it launches itself
        response = api.ConfigureResponse(events=subscription(SUBSCRIBED, valid_event_mask(runtime.nri)))
        self._registration.fails_unanswered = self._must_fail_unanswered()
        if self._registration.fails_unanswered:
            # Closed at the first time-out, we could not have the next container refused.
            response.failure_policy.fail_request = response.failure_policy.keep_connected = True
        return response

    def _must_fail_unanswered(self) -> bool:
        handler = self._handler
        return has(handler.runtime.nri, Feature.FAILURE_POLICY) and bool(
            handler.chain.required(handler.snapshot.policy)
        )

    def must_register_again(self) -> bool:
        """Whether the policy in force wants another failure policy than the one declared: it can be declared in Configure only. Never
        for a plugin that the runtime launched, which has one connection for its life.
        """
        if self._launched or self._registration.state is not State.SYNCHRONIZED:
            return False
        return self._must_fail_unanswered() != self._registration.fails_unanswered

    def _synchronize(self, request: Request) -> Answer:
        intake = self.intake
        if not intake.parts:
            self._sync_started_s = self._monotonic()
        if intake.take(request.payload):
            return Answer(api.SynchronizeResponse(more=True))
        self.intake = Intake()
        return self._handler.synchronize(intake.pods, intake.containers)

    def _forgotten(self) -> str:
        """After a late Synchronize some runtimes keep the connection and never use it: then only registering again helps."""
        runtime, took_s = self._handler.runtime, self._monotonic() - self._sync_started_s
        if took_s <= STALE_SYNC_SHARE * runtime.request_timeout_s or not sync_zombie(runtime.name, runtime.nri):
            return ""
        return f"Synchronize took {took_s:.2f} s of {runtime.request_timeout_s:.2f} s: the runtime may have given us up"

    def synchronized(self, channel: Channel) -> None:
        """Synchronize was answered on this channel, in whatever way."""
        if self._registration.state is State.CONFIGURED:
            self._calls.open(channel)
            self._registration.synchronized()
            self._log.info("synchronized")
