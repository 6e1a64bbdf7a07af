"""Who hears of the decisions of the event path."""

from __future__ import annotations

from typing import Protocol

from koordnri.model import Container, Decision, Event, Pod
from koordnri.state.ledger import Entry


class Observer(Protocol):
    """Who is told what was decided, after the reply is out. Must not block."""

    def decided(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """One container was decided, and the runtime has been told."""

    def refused(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """A hook that must not fail has failed: the runtime is about to be told to refuse the container."""

    def never_started(self, pod: Pod | None, entry: Entry) -> None:
        """A container was removed that we had answered for and that never started. The pod is None when it has gone before."""
