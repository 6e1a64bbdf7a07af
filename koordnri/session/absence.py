"""How long the runtime's socket has not been there, and when to report that."""

from __future__ import annotations

PATIENCE_S = 30.0
"""A runtime that restarts is back sooner."""
AGAIN_S = 3600.0
"""Kubernetes forgets an Event after an hour."""


class Absence:
    """Used by one thread. Times in s, monotonic."""

    def __init__(self) -> None:
        self._report_at_s: float | None = None
        """None: the runtime was there at the last attempt"""

    def goes_on(self, now_s: float) -> bool:
        """The runtime could not be reached. Returns whether to report it now."""
        if self._report_at_s is None:
            self._report_at_s = now_s + PATIENCE_S
        if now_s < self._report_at_s:
            return False
        self._report_at_s = now_s + AGAIN_S
        return True

    def ended(self) -> None:
        """The runtime was reached."""
        self._report_at_s = None
