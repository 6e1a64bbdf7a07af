"""How the daemon ends: somebody asks for it, or one of its threads dies."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Ending:
    """Any thread may call it. The main thread sleeps on `wake`; set it to wake the main thread."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.asked = False
        self.failure: BaseException | None = None
        """the error that ended a thread"""

    def ask(self) -> None:
        """Ask the daemon to end. Safe in a signal handler."""
        self.asked = True
        self.wake.set()

    def die(self, error: BaseException) -> None:
        """A thread that the process needs has died; the main thread raises its error."""
        self.failure = error
        self.wake.set()

    def guarded(self, run: Callable[[], None]) -> Callable[[], None]:
        """The function for a thread: it wakes the main thread when it ends, and an error ends the daemon."""

        def guarded() -> None:
            try:
                run()
            except BaseException as error:  # noqa: BLE001  # main raises it again
                self.failure = error
            self.wake.set()

        return guarded
