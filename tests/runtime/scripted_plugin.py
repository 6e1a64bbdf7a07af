"""A plugin that answers by a script: the wire and nothing of our session, so that the runtime is judged by another's eyes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from google.protobuf.message import Message

from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Connection, Reply, Request, Side
from koordnri.wire.services import PLUGIN_METHODS

ALL_OLD = 0x07FF
WAIT_S = 10.0


class Do(Enum):
    """What a plugin may do instead of answering."""

    NOTHING = auto()
    HANG_UP = auto()


@dataclass(frozen=True)
class Status:
    """An error answer."""

    code: int
    text: str


Answer = Message | bytes | Status | Do | Callable[[Any], Any] | None


class ScriptedPlugin:
    """Connects and registers at once; a thread answers. `answers`: method → what to answer; what is not in it is answered OK.

    A callable is given the request's message, and what it returns is the answer.
    """

    def __init__(
        self,
        path: Path | socket.socket,
        name: str = "probe",
        index: str = "05",
        events: int = ALL_OLD,
        answers: dict[str, Answer] | None = None,
        register: bool = True,
    ) -> None:
        self.answers: dict[str, Answer] = {"Configure": api.ConfigureResponse(events=events), **(answers or {})}
        self.seen: Queue[tuple[str, Any]] = Queue()
        """requests in order, as (method, message)"""
        self.replies: Queue[Reply] = Queue()
        """answers to our own calls"""
        self.last: Request | None = None
        self.hung_up = threading.Event()
        """the connection has ended, whoever ended it"""
        self.connection = Connection(Side.PLUGIN)
        self.lock = threading.Lock()
        if isinstance(path, socket.socket):
            self.socket = path
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(str(path))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        if register:
            self.call("RegisterPlugin", api.RegisterPluginRequest(plugin_name=name, plugin_idx=index))

    def __enter__(self) -> ScriptedPlugin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.socket.close()

    def call(self, method: str, message: Message) -> None:
        with self.lock:
            self.socket.sendall(self.connection.call(method, message)[1])

    def ask(self, method: str, message: Message) -> Reply:
        self.call(method, message)
        return self.reply()

    def reply(self) -> Reply:
        return self.replies.get(timeout=WAIT_S)

    def expect(self, method: str) -> Any:
        """The message of the next request of that method; others before it are passed over."""
        while True:
            try:
                seen, message = self.seen.get(timeout=WAIT_S)
            except Empty:
                raise AssertionError(f"no {method} came") from None
            if seen == method:
                return message

    def methods(self) -> list[str]:
        """Methods of all requests that have come and were not asked for yet."""
        methods = []
        while not self.seen.empty():
            methods.append(self.seen.get()[0])
        return methods

    def all_seen(self) -> list[tuple[str, Any]]:
        """All requests that have come and were not asked for yet, as (method, message)."""
        seen = []
        while not self.seen.empty():
            seen.append(self.seen.get())
        return seen

    def send(self, data: bytes) -> None:
        with self.lock:
            self.socket.sendall(data)

    def _read(self) -> None:
        try:
            while data := self.socket.recv(65536):
                self.connection.receive_data(data)
                while (event := self.connection.next_event()) is not None:
                    if isinstance(event, Reply):
                        self.replies.put(event)
                    else:
                        self._answer(event)
        except OSError:
            pass
        self.hung_up.set()

    def _answer(self, request: Request) -> None:
        message = PLUGIN_METHODS[request.method].request.FromString(request.payload)
        self.last = request
        self.seen.put((request.method, message))
        answer = self.answers.get(request.method)
        if callable(answer):
            answer = answer(message)
        if answer is Do.NOTHING:
            return
        if answer is Do.HANG_UP:
            self.socket.shutdown(socket.SHUT_RDWR)
        elif isinstance(answer, Status):
            self.send(self.connection.reply_error(request, answer.code, answer.text))
        else:
            self.send(self.connection.reply(request, answer))


def adjusting(**fields: Any) -> api.CreateContainerResponse:
    """An answer to CreateContainer."""
    return api.CreateContainerResponse(adjust=api.ContainerAdjustment(**fields))


def quota(value: int) -> api.LinuxResources:
    """Resources with nothing but a CPU quota, µs."""
    return api.LinuxResources(cpu=api.LinuxCPU(quota=api.OptionalInt64(value=value)))


def update(container_id: str, resources: api.LinuxResources, ignore_failure: bool = False) -> api.ContainerUpdate:
    """One update."""
    return api.ContainerUpdate(
        container_id=container_id,
        linux=api.LinuxContainerUpdate(resources=resources),
        ignore_failure=ignore_failure,
    )
