"""The embedded NRI runtime: CRI calls as methods, plugins on a unix socket, containers that exist only as specs.

It does what a plugin can notice as a real runtime does: handshake, order, timeouts and their consequences, conflicts, both event
transports, and which parts of an adjustment are applied. It runs no container, has no cgroups, and knows the kernel only by `KernelLimits`.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from koordnri.runtime.cri import CRI
from koordnri.runtime.door import Door
from koordnri.runtime.errors import CRIError, PeerGone
from koordnri.runtime.faults import InjectedFaults
from koordnri.runtime.identity import RuntimeIdentity, version_with
from koordnri.runtime.kernel_limits import KernelLimits
from koordnri.runtime.launch import Launched
from koordnri.runtime.peer import Peer
from koordnri.runtime.plugins import Call
from koordnri.runtime.state import ContainerState, PodState
from koordnri.runtime.sync import synchronize
from koordnri.wire import api_pb2 as api
from koordnri.wire.errors import RemoteStatus
from koordnri.wire.versions import NEWEST, SENDS_VERSION, Feature, Version, has

LATEST = NEWEST


class Runtime(CRI):
    """One runtime: the calls of CRI, and a socket for plugins, which get one event at a time.

    Use it as a context manager, or call `start` and `close`.
    """

    def __init__(
        self,
        socket_path: str | Path,
        nri_version: Version = LATEST,
        runtime_name: str = "containerd",
        runtime_version: str | None = None,
        request_timeout_s: float = 2.0,
        registration_timeout_s: float = 5.0,
        kernel: KernelLimits = KernelLimits(),  # noqa: B008  # immutable
    ) -> None:
        """With `runtime_version` None, a version that has `nri_version` is chosen. Raises ValueError when there is none."""
        version = version_with(runtime_name, nri_version) if runtime_version is None else runtime_version
        identity = RuntimeIdentity(runtime_name, version, nri_version, request_timeout_s, registration_timeout_s)
        super().__init__(identity, kernel)
        self.faults = InjectedFaults()
        self.zombies: list[Peer] = []
        """plugins whose Synchronize failed, and which an old runtime leaves connected without sending them events"""
        self._changed = threading.Condition()
        self._door = Door(
            str(socket_path), self.identity, self.faults, self._update_unasked, self._synchronize, self._log.add
        )
        self._synchronized: list[Peer] = []
        self._launched: list[Launched] = []

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen. Raises OSError when the socket cannot be made."""
        self._door.open()

    def close(self) -> None:
        """Stop listening, end all connections, kill launched plugins. Pods and containers stay known."""
        self._door.shut()
        for process in self._launched:
            process.kill()
        self._launched.clear()
        with self._lock:
            self._plugins.prune()
            self.zombies.clear()

    def restart(self) -> None:
        """The runtime's process ends and starts again: plugins must reconnect, and get all that runs by Synchronize.

        containerd forgets for what ran before that plugins should be sent its end (containerd 8426).
        """
        self.close()
        forgets = not self.identity.is_crio
        with self._lock:
            states: list[PodState | ContainerState] = [*self.pods.values(), *self.containers.values()]
            for state in states:
                state.known = state.known and not forgets
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def plugins(self) -> tuple[Peer, ...]:
        """The plugins that get events, in their order."""
        return tuple(p for p in self._plugins if not p.closed)

    @property
    def calls(self) -> list[Call]:
        """Every event sent to a plugin, in order. Callers may clear the list."""
        return self._plugins.calls

    @property
    def registrations(self) -> int:
        """How many synchronizations succeeded since the start."""
        return len(self._synchronized)

    @property
    def log(self) -> list[str]:
        """What a runtime would write to its log."""
        return self._log.lines

    def wait_for_log(self, text: str, timeout_s: float = 10.0) -> str:
        """Wait for a line of the log that contains `text`, and return it. Raises TimeoutError."""
        return self._log.wait_for(text, timeout_s)

    def wait_for_plugin(self, timeout_s: float = 10.0, nth: int = 1) -> Peer:
        """Wait until the `nth` synchronization since the start is done. Returns the plugin. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while len(self._synchronized) < nth:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(
                        f"plugin {nth}: not synchronized within {timeout_s:g} s, {len(self._synchronized)} were;"
                        f" the runtime noticed: {self._log}"
                    )
            return self._synchronized[nth - 1]

    def launch(self, path: Path, config: str = "") -> Peer:
        """Start a plugin, as a runtime does with those in /opt/nri/plugins. Raises OSError, ValueError, or PeerGone with the reason.

        NRI < 0.7 does not synchronize such plugins.
        """
        process = Launched(path)
        self._launched.append(process)
        peer = self._door.welcome(process.socket, (process.name, process.index), config)
        if peer is None:
            process.kill()
            raise PeerGone(f"plugin {path}: {self.log[-1]}")
        if has(self.identity.nri, Feature.SPLIT_SYNC):
            self._synchronize(peer)
        else:
            self._admit(peer)
        return peer

    # -- plugins ------------------------------------------------------------------------------------------------------

    def _synchronize(self, peer: Peer) -> None:
        version, timeout_s = self.identity.nri, self.identity.request_timeout_s
        with self._lock:
            pods = [p.as_sent(version) for p in self.pods.values()]
            live = (api.CONTAINER_CREATED, api.CONTAINER_RUNNING)
            containers = [c.as_sent(version) for c in self.containers.values() if c.spec.state in live]
            try:
                updates = synchronize(peer, version, pods, containers, timeout_s)
            except (PeerGone, RemoteStatus) as error:
                self._give_up(peer, zombie=not has(version, Feature.CLOSE_ON_FAILED_SYNC))
                self._log.add(f"failed to synchronize plugin {peer.full_name}: {error}")
                return
            if self._apply_all(updates) and self.identity.is_crio:
                self._give_up(peer, zombie=version < SENDS_VERSION)
                self._log.add(f"failed to apply the updates of plugin {peer.full_name}")
                return
            for container in self.containers.values():
                container.known = True
            self._admit(peer)

    def _give_up(self, peer: Peer, zombie: bool) -> None:
        if zombie:
            self.zombies.append(peer)
        else:
            peer.close()

    def _admit(self, peer: Peer) -> None:
        peer.synchronized_at_s = peer.last_reply_s
        with self._lock:
            self._plugins.add(peer)
        with self._changed:
            self._synchronized.append(peer)
            self._changed.notify_all()

    def _update_unasked(self, request: api.UpdateContainersRequest) -> None:
        with self._lock:
            if self._apply_all(request.update):
                some = "containers" if self.identity.is_crio else "some containers"
                raise CRIError("UpdateContainers", f"NRI update of {some} failed")
