"""What a runtime writes to its log. Tests wait for lines of it."""

from __future__ import annotations

import threading
import time


class RuntimeLog:
    """Lines in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()

    def add(self, text: str) -> None:
        """One more line."""
        with self._changed:
            self.lines.append(text)
            self._changed.notify_all()

    def wait_for(self, text: str, timeout_s: float) -> str:
        """Wait for a line that contains `text`, and return it. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f'no line with "{text}" within {timeout_s:g} s, only: {self}')

    def __str__(self) -> str:
        return "; ".join(self.lines) or "nothing"
