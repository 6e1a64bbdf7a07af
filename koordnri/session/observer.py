"""Receives the decisions of the event path."""

from __future__ import annotations

from typing import Protocol

from koordnri.model import Container, Decision, Event, Pod
from koordnri.state.entry import Entry


class Observer(Protocol):
    """Called with each decision after the reply was sent. Must not block."""

    def decided(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """A container was decided and the reply was sent."""

    def refused(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """A hook with failure policy `fail` could not decide: the reply will refuse the container."""

    def never_started(self, pod: Pod | None, entry: Entry) -> None:
        """A container was removed after the reply to its creation, before it started. pod: None when it was removed earlier."""
