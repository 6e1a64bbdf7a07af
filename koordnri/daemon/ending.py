"""How the daemon comes to its end: somebody asks for it, or one of its threads dies."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Ending:
    """Any thread may call. `wake` is what the main thread sleeps on; whoever has something for it sets it."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.asked = False
        self.failure: BaseException | None = None
        """what a thread died of"""

    def ask(self) -> None:
        """The daemon is to end. Safe in a signal handler."""
        self.asked = True
        self.wake.set()

    def die(self, error: BaseException) -> None:
        """A thread has died without which the process has no use; main raises its error."""
        self.failure = error
        self.wake.set()

    def guarded(self, run: Callable[[], None]) -> Callable[[], None]:
        """What a thread runs that wakes main when it ends, and whose death is the daemon's."""

        def guarded() -> None:
            try:
                run()
            except BaseException as error:  # noqa: BLE001  # main raises it again
                self.failure = error
            self.wake.set()

        return guarded
