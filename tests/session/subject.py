"""A plugin's session under test: in a thread of its own, with all that it works with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from koordnri.chain import Chain, Snapshot
from koordnri.hook import Hook
from koordnri.model import NodeState, fields
from koordnri.model.container import Event
from koordnri.policy import DEFAULT_POLICY, Policy
from koordnri.runtime import LATEST, Runtime
from koordnri.session.calls import Calls
from koordnri.session.handler import EventHandler
from koordnri.session.identity import Identity
from koordnri.session.plugin import PluginSession
from koordnri.state.ledger import Ledger
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.session.scripted_runtime import Link
from tests.support.messages import container, pod

WAIT_S = 10.0
OLD = Version(0, 6, 1)


class Log:
    """Keeps what is logged, and lets one wait for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self._more = threading.Condition()

    def info(self, event: str, **keys: Any) -> None:
        with self._more:
            self.lines.append((event, keys))
            self._more.notify_all()

    warning = error = info

    def wait_for(self, event: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((keys for name, keys in self.lines if name == event), None)

        with self._more:
            assert self._more.wait_for(lambda: found() is not None, WAIT_S), f"{event} was not logged: {self.lines}"
            return found() or {}


class Observer:
    """Keeps who was decided."""

    def __init__(self) -> None:
        self.decided_ids: list[tuple[str, str]] = []

    def decided(self, pod: Any, container: Any, event: Event, decision: Any) -> None:
        self.decided_ids.append((event.value, container.id))

    def refused(self, pod: Any, container: Any, event: Event, decision: Any) -> None:
        self.decided_ids.append(("refused", container.id))

    def never_started(self, pod: Any, entry: Any) -> None:
        self.decided_ids.append(("never started", entry.id))


def hook(name: str, order: int, owns: tuple[Any, ...], decide: Callable[[Any], None]) -> Hook:
    """A hook that does what the function does."""
    return type(name, (Hook,), {"name": name, "order": order, "owns": owns, "decide": lambda self, ctx: decide(ctx)})()


def pins(cpus: str = "2-3") -> Hook:
    """A hook that gives every container the same CPUs."""
    return hook("pins", 1, (fields.CPU_CPUS,), lambda ctx: ctx.set(fields.CPU_CPUS, cpus, "a test"))


class Subject:
    """A session in a thread, and all that it works with."""

    def __init__(
        self,
        path: Path,
        *hooks: Hook,
        identity: Identity | None = None,
        policy: Policy = DEFAULT_POLICY,
        handler: type[EventHandler] = EventHandler,
        **options: Any,
    ) -> None:
        self.log, self.observer, self.ledger = Log(), Observer(), Ledger()
        self.chain = Chain(hooks)
        self.handler = handler(self.chain, self.ledger, Snapshot.of(policy, NodeState()), self.observer)
        self.calls = Calls()
        self.session = PluginSession(
            identity or Identity("koordnri", "10"), str(path), self.handler, self.log, calls=self.calls, **options
        )
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.session.run()
        except BaseException as error:  # noqa: BLE001  # raised again in the test's own thread
            self.failure = error

    def ended(self) -> bool:
        """Whether `run` returns, of itself or because it was stopped."""
        self.thread.join(WAIT_S)
        return not self.thread.is_alive()

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.stop()
        assert self.ended(), "the session does not end"
        if self.failure is not None:
            raise self.failure


@contextmanager
def connected(
    path: Path, *hooks: Hook, version: Version = LATEST, timeout_s: float = 10.0, **options: Any
) -> Iterator[tuple[Runtime, Subject]]:
    """A session that is synchronized with an embedded runtime."""
    runtime = Runtime(path / "nri", version, request_timeout_s=timeout_s)
    with runtime, Subject(path / "nri", *hooks, **options) as subject:
        runtime.wait_for_plugin()
        yield runtime, subject


def cpus_of(runtime: Runtime, container_id: str = "c1") -> str:
    return runtime.containers[container_id].spec.linux.resources.cpu.cpus


class Pauses:
    """In place of waiting: keeps for how long, and goes on at once."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, stop: threading.Event, pause_s: float) -> None:
        self.seconds.append(pause_s)


def hang_up_before_registration(link: Link) -> None:
    link.close()


def hang_up_after_registration(link: Link) -> None:
    link.answer_registration()
    link.close()


def hang_up_after_configure(link: Link) -> None:
    link.answer_registration()
    link.configure()
    link.close()


def hang_up_in_synchronize(link: Link) -> None:
    link.answer_registration()
    link.configure()
    link.synchronize(pods=[pod("lost")], more=True)
    link.close()


def hang_up_in_an_event(link: Link) -> None:
    link.shake_hands()
    _, frame = link.connection.call("CreateContainer", api.CreateContainerRequest(pod=pod(), container=container()))
    link.socket.sendall(frame[: len(frame) // 2])
    link.close()
