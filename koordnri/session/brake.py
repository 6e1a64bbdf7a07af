"""The brake on registering: a runtime that fails while it tells us what runs is left alone for minutes.

A registration makes the runtime send all its pods and containers. When it fails at that, or dies of it (upstream's code that splits a
large Synchronize does, on a few containers with very large environments), trying every minute would bring the node down for good.
"""

from __future__ import annotations

ALLOWED = 3
"""So many registrations in a row may end between Configure and the end of Synchronize before the brake is put on."""
PAUSES_S = (60.0, 300.0, 900.0)
"""Seconds to wait after the last one that was allowed, after the next one, and after each further one."""


class Brake:
    """Counts registrations in a row that were not finished. Used by one thread."""

    def __init__(self) -> None:
        self.unfinished = 0

    def failed(self) -> float:
        """One more ended between Configure and the end of Synchronize. Seconds to wait before the next; 0: no longer than usual."""
        self.unfinished += 1
        over = self.unfinished - ALLOWED
        return 0.0 if over < 0 else PAUSES_S[min(over, len(PAUSES_S) - 1)]

    def reset(self) -> None:
        """One was finished."""
        self.unfinished = 0
