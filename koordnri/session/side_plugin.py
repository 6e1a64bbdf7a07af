"""A small plugin that runs beside the daemon, in a process of its own: it answers events in the order in which they come."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError, Message

from koordnri.model.log import Log
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.transport.backoff import Backoff
from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply, Request, Side
from koordnri.wire.errors import Code, LocalProtocolError, RemoteProtocolError
from koordnri.wire.events import EVENT_OF_METHOD, NRIEvent, subscription
from koordnri.wire.services import PLUGIN_METHODS
from koordnri.wire.versions import NEWEST, valid_event_mask


class Refusal(Exception):
    """Raised by a handler: the runtime gets this text as the error of its request."""


class SidePlugin:
    """One plugin. `stop` is for other threads and signal handlers; all else for one thread.

    index       two digits: its place among the plugins
    subscribed  events that it wants
    handle      called with each event, its message and what is known of the runtime; returns the answer's message, or None for an empty
                one. A StateChangeEvent (NRI < 0.12) has the event's own fields. May raise Refusal
    """

    def __init__(
        self,
        name: str,
        index: str,
        subscribed: Sequence[NRIEvent],
        handle: Callable[[NRIEvent, Message, RuntimeInfo], Message | None],
        log: Log,
    ) -> None:
        self._name = name
        self._index = index
        self._subscribed = subscribed
        self._handle = handle
        self._log = log
        self._stopping = threading.Event()
        self._channel: Channel | None = None

    def run(self, path: str) -> None:
        """Serve the runtime at this socket, and connect again when the connection is lost, until `stop`."""
        pause, problem = Backoff(0.1, 10.0), ""
        while not self._stopping.is_set():
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                    sock.connect(path)
                    self._channel = Channel(sock, Side.PLUGIN)
                    if not self._stopping.is_set():
                        self._serve(self._channel, pause)
                problem = ""
            except (OSError, RemoteProtocolError, LocalProtocolError) as error:
                if str(error) != problem and not self._stopping.is_set():
                    problem = str(error)
                    self._log.warning("not_connected", socket=path, error=problem)
            self._stopping.wait(pause.next())

    def stop(self) -> None:
        """End the connection; `run` returns."""
        self._stopping.set()
        if (channel := self._channel) is not None:
            channel.close()

    def _serve(self, channel: Channel, pause: Backoff) -> None:
        """Returns when the runtime ends the connection. Raises OSError, RemoteProtocolError and LocalProtocolError."""
        runtime = RuntimeInfo()
        channel.call(
            "RegisterPlugin",
            api.RegisterPluginRequest(plugin_name=self._name, plugin_idx=self._index, NRI_version=f"v{NEWEST}"),
        )
        while (event := channel.next()) is not None:
            if isinstance(event, Reply):
                if event.code != Code.OK:
                    self._log.error("registration_refused", error=event.text)
                    return
            elif event.method == "Configure":
                configure = api.ConfigureRequest.FromString(event.payload)
                runtime = RuntimeInfo.of(configure, event.timeout_ns)
                events = subscription(self._subscribed, valid_event_mask(runtime.nri))
                channel.answer(event, api.ConfigureResponse(events=events))
                pause.reset()
                self._log.info("registered", runtime=runtime.name, version=runtime.version, nri=str(runtime.nri))
            else:
                self._answer(channel, event, runtime)

    def _answer(self, channel: Channel, request: Request, runtime: RuntimeInfo) -> None:
        try:
            message = PLUGIN_METHODS[request.method].request.FromString(request.payload)
            if isinstance(message, api.SynchronizeRequest):
                channel.answer(request, api.SynchronizeResponse(more=message.more))
                return
            event = _event(request.method, message)
            answer = None if event is None else self._handle(event, message, runtime)
        except Refusal as refusal:
            channel.answer_error(request, Code.UNKNOWN, str(refusal))
        except DecodeError as error:
            channel.answer_error(request, Code.INVALID_ARGUMENT, f"{request.method}: cannot decode it: {error}")
        except Exception as error:  # noqa: BLE001  # a bug of ours must not fail the pod
            self._log.error(
                "event_failed", method=request.method, error=f"{type(error).__name__}: {error}", exc_info=True
            )
            channel.answer(request, None)
        else:
            channel.answer(request, answer)


def _event(method: str, message: Message) -> NRIEvent | None:
    """Which event a request reports; None for one that we do not know."""
    if not isinstance(message, api.StateChangeEvent):
        return EVENT_OF_METHOD.get(method)
    try:
        return NRIEvent(int(message.event))
    except ValueError:
        return None
