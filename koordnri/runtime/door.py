"""The runtime's socket. Plugins connect one after the other; each is registered, configured and synchronized."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from queue import Empty

from koordnri.runtime.errors import PeerGone
from koordnri.runtime.faults import InjectedFaults
from koordnri.runtime.identity import RuntimeIdentity
from koordnri.runtime.peer import Peer, UpdateFunction
from koordnri.wire import api_pb2 as api
from koordnri.wire.errors import RemoteStatus
from koordnri.wire.versions import Feature, has, valid_event_mask


class Door:
    """Listens from `open` to `shut`. While one plugin registers, configures or synchronizes slowly, all others wait."""

    def __init__(
        self,
        socket_path: str,
        identity: RuntimeIdentity,
        faults: InjectedFaults,
        update: UpdateFunction,
        synchronize: Callable[[Peer], None],
        log: Callable[[str], None],
    ) -> None:
        self._path = socket_path
        self._identity = identity
        self._faults = faults
        self._update = update
        self._synchronize = synchronize
        self._log = log
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._peers: list[Peer] = []
        """all connections since `open`, also of plugins that were refused and did not disconnect"""

    def open(self) -> None:
        """Take the socket's path and accept plugins. A socket that is already there is replaced."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(self._path)
            listener.listen(128)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._thread = threading.Thread(target=self._accept, args=(listener,), name="runtime-accept", daemon=True)
        self._thread.start()

    def shut(self) -> None:
        """Stop listening, end all connections and remove the socket's file. Plugins see EOF."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        with self._lock:
            peers, self._peers = self._peers, []
        for peer in peers:
            peer.close()
        if self._thread is not None:
            self._thread.join()
        listener.close()
        for peer in peers:
            peer.join()

    def welcome(self, sock: socket.socket, launched: tuple[str, str] | None = None, config: str = "") -> Peer | None:
        """Register and configure a plugin; None when it fails. `launched`: (name, index) of a plugin that this runtime launched."""
        peer = Peer(sock, self._identity.nri, self._faults, self._update, launched)
        with self._lock:
            if self._listener is None:
                peer.close()
            self._peers = [p for p in self._peers if not p.closed]
            self._peers.append(peer)
        try:
            refusal = peer.registered.get(timeout=self._identity.registration_timeout_s)
        except Empty:
            peer.close()
            self._log("plugin registration timed out")
            return None
        if refusal is not None:
            # The connection of a plugin that was refused stays open: the plugin must close it.
            self._log(f"failed to register plugin: {refusal}")
            return None
        try:
            self._configure(peer, config)
        except (PeerGone, RemoteStatus) as error:
            peer.close()
            self._log(f"failed to configure plugin {peer.full_name}: {error}")
            return None
        return peer

    def _configure(self, peer: Peer, config: str) -> None:
        payload = peer.call("Configure", self._identity.configure_request(config), self._identity.request_timeout_s)
        peer.configured_at_s = peer.last_reply_s
        answer: api.ConfigureResponse = peer.decode("Configure", payload)
        valid = valid_event_mask(self._identity.nri)
        if extra := answer.events & ~valid:
            raise PeerGone(f"invalid plugin events: {extra:#x}, this runtime knows {valid:#x}")
        peer.events = answer.events or valid
        if has(self._identity.nri, Feature.FAILURE_POLICY):
            peer.failure_policy.CopyFrom(answer.failure_policy)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            peer = self.welcome(sock)
            if peer is not None:
                self._synchronize(peer)
