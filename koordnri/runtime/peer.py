"""One connected plugin as the runtime sees it: calls with a timeout, and the two requests that a plugin may make."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from google.protobuf.message import DecodeError, Message

from koordnri.runtime.errors import CRIError, PeerGone, Undecodable
from koordnri.runtime.faults import FaultySocket, InjectedFaults
from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply, Request, Side
from koordnri.wire.errors import Code, ProtocolError, RemoteStatus
from koordnri.wire.services import PLUGIN_METHODS
from koordnri.wire.versions import Feature, Version, has

_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
_INDEX = re.compile(r"[0-9]{2}", re.ASCII)
UpdateFunction = Callable[[api.UpdateContainersRequest], None]


class Peer:
    """A plugin's connection. One thread at a time makes calls; one thread reads, and each request is served in its own thread."""

    def __init__(
        self,
        sock: socket.socket,
        version: Version,
        faults: InjectedFaults,
        update: UpdateFunction,
        identity: tuple[str, str] | None = None,
    ) -> None:
        """`identity` (name, index): of a plugin that the runtime launched; then the name that it registers with is ignored.

        `update` carries out an UpdateContainers. It may block, and raises CRIError.
        """
        self.name, self.index = identity or ("", "")
        self.events = 0
        """mask of the events that it subscribed to"""
        self.failure_policy = api.FailurePolicy()
        """what its silence costs; from NRI 0.12.4 on a plugin may choose in its answer to Configure"""
        self.nri_version = "unknown"
        """as it says in RegisterPlugin"""
        self.funnel = False
        """whether it answered Unimplemented to a dedicated RPC: since then all nine events go by StateChange"""
        self.closed = False
        self.registered: SimpleQueue[str | None] = SimpleQueue()
        """outcome of RegisterPlugin: None, or the error; also when the connection ends first"""
        self.last_reply_s = 0.0
        """when the last reply was read (s, time.perf_counter)"""
        self.configured_at_s = self.synchronized_at_s = 0.0
        """when it answered Configure and Synchronize (s, same clock)"""
        self._launched = identity is not None
        self._version = version
        self._faults = faults
        self._update = update
        self._socket = FaultySocket.around(sock, faults)
        self._channel = Channel(self._socket, Side.RUNTIME)
        self._replies: SimpleQueue[tuple[Reply, float] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="runtime-peer", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"Peer({self.full_name}, {'closed' if self.closed else 'open'})"

    @property
    def full_name(self) -> str:
        """index-name, as in conflicts and owners."""
        return f"{self.index}-{self.name}"

    def call(self, method: str, message: Message, timeout_s: float) -> bytes:
        """Call the plugin. Returns the reply, not parsed.

        Raises RemoteStatus when it answers with an error, PeerGone when it is disconnected or does not answer in time, and
        MessageTooLarge when nothing was sent. A late reply is dropped. The caller decides whether to close the connection.
        """
        if self.closed:
            raise PeerGone(f"plugin {self.full_name} is closed")
        if self._faults.cut_during == method:
            self._faults.cut_during = None
            self._socket.cut_next = True
        deadline = time.monotonic() + timeout_s
        try:
            stream = self._channel.call(method, message, timeout_s)
        except OSError as error:
            raise PeerGone(f"{method}: cannot send to plugin {self.full_name}: {error}") from error
        while True:
            try:
                item = self._replies.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                text = f"{method}: plugin {self.full_name} has not answered within {timeout_s:g} s"
                raise PeerGone(text, late=True) from None
            if item is None:
                raise PeerGone(f"{method}: connection to plugin {self.full_name} lost")
            reply, self.last_reply_s = item
            if reply.stream != stream:
                continue  # a late answer to a call that timed out
            if reply.code != Code.OK:
                raise RemoteStatus(reply.code, reply.text, method)
            return reply.payload

    def decode(self, method: str, payload: bytes) -> Any:
        """The reply's message, of the method's response type.

        Raises Undecodable.
        """
        try:
            return PLUGIN_METHODS[method].response.FromString(payload)
        except DecodeError as error:
            text = f"reply of plugin {self.full_name} cannot be decoded: {error}"
            raise Undecodable(Code.INTERNAL, text, method) from error

    def close(self) -> None:
        """End the connection without waiting."""
        self.closed = True
        self._channel.close()

    def join(self) -> None:
        """After `close`: wait until the reader has ended."""
        self._thread.join()

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while (event := self._channel.next()) is not None:
                if isinstance(event, Reply):
                    self._replies.put((event, time.perf_counter()))
                else:
                    # One thread per request, as in Go: an UpdateContainers waits for the lock that the current event holds, while the
                    # reply to that event must still be read.
                    threading.Thread(target=self._serve, args=(event,), name="runtime-serve", daemon=True).start()
        except (OSError, ProtocolError):
            pass  # treated like the end of the connection
        self.closed = True
        self._replies.put(None)
        self.registered.put("failed to register plugin, connection closed")
        self._channel.release()

    def _serve(self, request: Request) -> None:
        if self._faults.cut_before_reply == request.method:
            self._faults.cut_before_reply = None
            self.close()
            return
        error = ""
        response: Message | None = None
        try:
            if request.method == "RegisterPlugin":
                error = self._register(request)
            else:
                self._update(api.UpdateContainersRequest.FromString(request.payload))
        except CRIError as failure:
            error = failure.text
        except DecodeError as failure:
            error = f"cannot decode: {failure}"
        held = self._faults.hold_replies.get(request.method)
        if request.method == "RegisterPlugin" and held is not None:
            self.registered.put(error or None)
        if held is not None:
            held.wait()
        try:
            if error:
                self._channel.answer_error(request, Code.UNKNOWN, error)
            else:
                self._channel.answer(request, response)
        except OSError:
            return  # the plugin is gone; the reader notices it
        if request.method == "RegisterPlugin" and held is None:
            self.registered.put(error or None)

    def _register(self, request: Request) -> str:
        message = api.RegisterPluginRequest.FromString(request.payload)
        name, index = message.plugin_name, message.plugin_idx
        self.nri_version = message.NRI_version or self.nri_version
        if self._launched:
            return ""
        if not name:
            return "invalid plugin name: name is empty"
        if has(self._version, Feature.NAME_CHECK) and _NAME.fullmatch(name) is None:
            return f'invalid plugin name "{name}": contains invalid character'
        if _INDEX.fullmatch(index) is None:
            return f'invalid plugin index "{index}", must be 2 digits'
        self.name, self.index = name, index
        return ""
