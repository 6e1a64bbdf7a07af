"""The brake on registrations: if a runtime keeps failing during Synchronize, it is left alone for minutes.

A registration makes the runtime send all its pods and containers. Some runtimes fail at that or even crash: upstream's code that splits a
large Synchronize does so on a few containers with very large environments. A retry every minute would keep such a node down for good.
"""

from __future__ import annotations

ALLOWED = 3
"""Registrations in a row that may end between Configure and the end of Synchronize before the brake acts."""
PAUSES_S = (60.0, 300.0, 900.0)
"""Seconds to wait after the last allowed one, after the next one, and after each further one."""


class Brake:
    """Counts unfinished registrations in a row. Used by one thread."""

    def __init__(self) -> None:
        self.unfinished = 0

    def failed(self) -> float:
        """One more ended between Configure and the end of Synchronize. Returns the seconds to wait; 0: no longer than usual."""
        self.unfinished += 1
        over = self.unfinished - ALLOWED
        return 0.0 if over < 0 else PAUSES_S[min(over, len(PAUSES_S) - 1)]

    def reset(self) -> None:
        """A registration was finished."""
        self.unfinished = 0
