"""How far the plugin has come with its runtime, and counts of what it was asked."""

from __future__ import annotations

import time
from enum import StrEnum


class State(StrEnum):
    """How far the session has come."""

    DISCONNECTED = "disconnected"
    REGISTERING = "registering"
    CONFIGURED = "configured"
    SYNCHRONIZED = "synchronized"
    STOPPED = "stopped"


class SessionStats:
    """Plain numbers for `observe`."""

    def __init__(self) -> None:
        self.registrations = 0
        self.connections_lost = 0
        self.events: dict[tuple[str, str], int] = {}
        """(name of the event, outcome) → count; outcome: ok, late, refused, undecodable or error"""
        self.synchronized_at_s: float | None = None
        """when (s, wall clock)"""


class Registration:
    """One per session. The thread that reads the socket and the one that connects write it; others read single values."""

    def __init__(self) -> None:
        self.state = State.DISCONNECTED
        self.fails_unanswered = False
        """whether we have asked the runtime to fail each request that we do not answer (NRI >= 0.12.4)"""
        self.problem = "not connected yet"
        """why the state is not `synchronized`; for /readyz"""
        self.stats = SessionStats()

    def enter(self, state: State, problem: str) -> None:
        """Another state, and why it is not `synchronized`; "" when it is."""
        self.state, self.problem = state, problem

    def synchronized(self) -> None:
        """Synchronize was answered: from now on the runtime sends events."""
        self.enter(State.SYNCHRONIZED, "")
        self.stats.synchronized_at_s = time.time()

    def count(self, event: str, outcome: str) -> None:
        """An event or request was dealt with."""
        counts, key = self.stats.events, (event, outcome)
        counts[key] = counts.get(key, 0) + 1
