"""The two ways to change the runtime's stored spec outside of replies: `UpdateContainers`, and a second registration.

The reconcile thread uses both, the event path neither. The recorder decides when, and which.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from google.protobuf.message import DecodeError, Message

from koordnri.model import NodeState
from koordnri.model.difference import is_stored
from koordnri.reconcile.plan import Update
from koordnri.reconcile.recorder import Overran, PushFailed, RuntimeAway
from koordnri.session.calls import Calls, NotConnected, NotRegistered
from koordnri.session.encode import encode_update
from koordnri.session.translate import resources_from
from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from koordnri.wire.connection import Request, Side
from koordnri.wire.errors import Code, RemoteProtocolError
from koordnri.wire.events import NRIEvent, subscription
from koordnri.wire.versions import NEWEST, nri_version, valid_event_mask

INDEX = "99"
"""Last in the order of plugins: a registration that only carries updates must not affect anything else."""
NAMES = ("koordnri-push-a", "koordnri-push-b")


class Unsolicited:
    """Push by `UpdateContainers` on the existing registration. Safe from NRI 0.12.1 on."""

    def __init__(self, calls: Calls, node: Callable[[], NodeState]) -> None:
        self._calls = calls
        self._node = node

    def __call__(self, updates: Sequence[Update], deadline_s: float) -> set[str]:
        """Returns the ids whose update was refused. Raises Overran, PushFailed and RuntimeAway."""
        node, request = self._node(), api.UpdateContainersRequest()
        for update in updates:
            message = encode_update(update, node)
            message.ignore_failure = False  # otherwise the runtime would not report a failure
            request.update.append(message)
        try:
            reply = self._calls.update_containers(request, deadline_s)
        except TimeoutError as error:
            raise Overran(str(error)) from error
        except NotRegistered as error:
            raise RuntimeAway(str(error)) from error
        except NotConnected as error:
            raise PushFailed(str(error)) from error
        if reply.code != Code.OK:
            raise PushFailed(f"UpdateContainers: {reply.text}")
        try:
            response = api.UpdateContainersResponse.FromString(reply.payload)
        except DecodeError as error:
            raise PushFailed(f"UpdateContainers: undecodable answer: {error}") from error
        return {failed.container_id for failed in response.failed}


class Resync:
    """Push by a second, short-lived registration whose answer to Synchronize carries the updates.

    The runtime serves registrations one after the other. So a second registration gets a list that shows the first one's effect, and
    proves it. Only then are both closed: a reply still queued when its connection closes would be lost.
    """

    def __init__(self, socket_path: str, node: Callable[[], NodeState]) -> None:
        self._socket_path = socket_path
        self._node = node

    def __call__(self, updates: Sequence[Update], deadline_s: float) -> set[str]:
        """Returns the ids whose update the runtime has not stored. Raises Overran, PushFailed and RuntimeAway."""
        node = self._node()
        messages = [encode_update(update, node) for update in updates]
        ends_at = time.monotonic() + deadline_s
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(contextlib.closing(_Registration(self._socket_path, NAMES[0], messages)))
            first.wait(ends_at)
            proof = stack.enter_context(contextlib.closing(_Registration(self._socket_path, NAMES[1], ())))
            proof.wait(ends_at)
        stored = {c.id: resources_from(c.linux.resources) for c in proof.containers}
        return {
            u.container_id
            for u in updates
            if u.container_id in stored and not all(is_stored(stored[u.container_id], s, node) for s in u.settings)
        }


class _Registration:
    """A connection that answers OK to everything, and `updates` to Synchronize. After `wait`, `containers` has the runtime's list."""

    def __init__(self, socket_path: str, name: str, updates: Iterable[api.ContainerUpdate]) -> None:
        """Raises RuntimeAway when the runtime cannot be reached."""
        self.containers: list[views.Container] = []
        self._answer = api.SynchronizeResponse(update=updates)
        self._name = name
        self._synchronized = threading.Event()
        self._problem = ""
        self._bug: Exception | None = None
        """what ended the thread, if that was no fault of the runtime"""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(socket_path)
        except OSError as error:
            sock.close()
            raise RuntimeAway(f"cannot connect to {socket_path}: {error.strerror or error}") from error
        self._channel = Channel(sock, Side.PLUGIN)
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)
        self._thread.start()

    def wait(self, ends_at: float) -> None:
        """Wait until Synchronize is answered. Raises Overran and PushFailed, and the bug that ended the thread."""
        if not self._synchronized.wait(max(ends_at - time.monotonic(), 0.0)):
            raise Overran(f"the registration {self._name} was not synchronized in time")
        if self._bug is not None:
            raise self._bug
        if self._problem:
            raise PushFailed(f"the registration {self._name}: {self._problem}")

    def close(self) -> None:
        """End the connection."""
        self._channel.close()
        self._thread.join(2.0)
        if not self._thread.is_alive():
            self._channel.release()

    def _read(self) -> None:
        problem = "closed by the runtime"
        try:
            request = api.RegisterPluginRequest(plugin_name=self._name, plugin_idx=INDEX, NRI_version=f"v{NEWEST}")
            self._channel.call("RegisterPlugin", request)
            while (event := self._channel.next()) is not None:
                if isinstance(event, Request):
                    self._on_request(event)
                elif event.code != Code.OK:
                    problem = f"refused: {event.text}"
                    break
        except (OSError, RemoteProtocolError, DecodeError) as error:
            problem = f"{type(error).__name__}: {error}"
        except Exception as bug:  # noqa: BLE001  # raised again by whoever waits
            self._bug = bug
        if not self._synchronized.is_set():
            self._problem = problem
            self._synchronized.set()

    def _on_request(self, request: Request) -> None:
        message: Message | None = None
        if request.method == "Configure":
            configure = api.ConfigureRequest.FromString(request.payload)
            nri = nri_version(configure.runtime_name, configure.runtime_version, configure.NRI_version)
            message = api.ConfigureResponse(events=subscription((NRIEvent.REMOVE_POD_SANDBOX,), valid_event_mask(nri)))
        elif request.method == "Synchronize":
            part = views.SynchronizeRequest.FromString(request.payload)
            self.containers.extend(part.containers)
            message = api.SynchronizeResponse(more=True) if part.more else self._answer
        self._channel.answer(request, message)
        if message is self._answer:
            self._synchronized.set()
