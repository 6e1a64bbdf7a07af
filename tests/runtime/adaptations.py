"""Two adaptations with one interface: NRI's own, which runtimes have inside, and the embedded runtime's.

An adaptation takes one request, asks all plugins, and merges what they answer. What a runtime does with the result is not compared.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from google.protobuf.message import Message

from koordnri.runtime import Runtime, answers
from koordnri.runtime.errors import Conflict
from koordnri.runtime.owners import Owners
from koordnri.runtime.plugins import EventFailed
from koordnri.runtime.updates import Updates
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import EVENT_OF_METHOD, NRIEvent

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("KOORDNRI_LAB_DIR") or ROOT / ".cache" / "lab") / "nri-adaptation" / "adaptation"
"""tools/lab_nri.py builds it"""
NAME, VERSION = "containerd", "v2.4.0"
_RESPONSES: dict[str, type[Message]] = {
    "CreateContainer": api.CreateContainerResponse,
    "UpdateContainer": api.UpdateContainerResponse,
    "StopContainer": api.StopContainerResponse,
}


def lack() -> str:
    """Why NRI's own adaptation cannot be had here, or ""."""
    return "" if PROGRAM.exists() else f"no {PROGRAM}: run python tools/lab_nri.py"


class Outcome(NamedTuple):
    """What a request came to: a response, or the error's text."""

    response: Message | None
    error: str = ""


class GoAdaptation:
    """NRI's own, in a process."""

    def __init__(self, socket: Path, timeout_s: float) -> None:
        self._process = subprocess.Popen(
            [PROGRAM, socket, NAME, VERSION, f"{timeout_s}s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()

    def state(self, state: api.SynchronizeRequest) -> None:
        """What plugins that come from now on are synchronized with."""
        self._say("STATE", state)

    def ask(self, method: str, request: Message) -> Outcome:
        """Relay a request."""
        outcome, data = self._say(method, request)
        if outcome == "error":
            return Outcome(None, data.decode())
        return Outcome(_RESPONSES.get(method, api.Empty).FromString(data))

    def asked(self) -> Iterable[api.ContainerUpdate]:
        """The updates that plugins have answered to Synchronize, or sent unasked."""
        return api.UpdateContainersRequest.FromString(self._say("ASKED")[1]).update

    def count(self) -> int:
        """Plugins that get events, as of the end of the last request."""
        return int(self._say("COUNT")[1])

    def _say(self, method: str, message: Message | None = None) -> tuple[str, bytes]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        payload = b"" if message is None else message.SerializeToString()
        self._process.stdin.write(f"{method} {base64.b64encode(payload).decode()}\n")
        self._process.stdin.flush()
        outcome, _, data = self._process.stdout.readline().strip().partition(" ")
        assert outcome in ("ok", "error"), f"the adaptation ended at {method}"
        return outcome, base64.b64decode(data)


class _AdaptationOnly(Runtime):
    """The embedded runtime, which keeps the updates that it would apply."""

    kept: tuple[api.ContainerUpdate, ...] = ()

    def _apply_all(self, updates: Iterable[api.ContainerUpdate]) -> list[str]:
        self.kept += tuple(updates)
        return []


class EmbeddedAdaptation:
    """Ours, without what kubelet sees of it."""

    def __init__(self, socket: Path, timeout_s: float) -> None:
        self._runtime = _AdaptationOnly(socket, runtime_name=NAME, runtime_version=VERSION, request_timeout_s=timeout_s)

    def __enter__(self) -> Self:
        self._runtime.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._runtime.close()

    def state(self, state: api.SynchronizeRequest) -> None:
        """What plugins that come from now on are synchronized with."""
        self._runtime.preload(state.pods, state.containers)

    def ask(self, method: str, request: Any) -> Outcome:
        """Relay a request."""
        own = type(request).FromString(request.SerializeToString())  # plugins' answers change it
        with self._runtime._lock:
            try:
                return Outcome(self._relay(method, own))
            except (EventFailed, Conflict) as error:
                return Outcome(None, str(error))

    def _relay(self, method: str, request: Any) -> Message:
        plugins = self._runtime._plugins
        if method == "CreateContainer":
            merged = answers.adjustments(plugins, request, self._runtime.identity.nri)
            return api.CreateContainerResponse(adjust=merged.adjust, update=merged.updates.others.values())
        if method == "UpdateContainer":
            updates = Updates(Owners(), request)
            answers.updates(plugins, NRIEvent.UPDATE_CONTAINER, request, updates)
            # Go's list ends with the request's own container, empty when no plugin has changed it.
            return api.UpdateContainerResponse(update=[*updates.others.values(), updates.own or api.ContainerUpdate()])
        if method == "StopContainer":
            updates = Updates(Owners())
            answers.updates(plugins, NRIEvent.STOP_CONTAINER, request, updates)
            return api.StopContainerResponse(update=updates.others.values())
        plugins.notify(EVENT_OF_METHOD[method], request)
        return api.Empty()

    def asked(self) -> Iterable[api.ContainerUpdate]:
        """The updates that plugins have answered to Synchronize, or sent unasked."""
        return self._runtime.kept

    def count(self) -> int:
        """Plugins that get events."""
        return len(self._runtime.plugins)
