"""When Python looks for garbage that refers to itself: between events, not in the middle of one.

Left alone, its collector runs whenever enough objects were made, as a pass over 500 containers makes them by the ten thousand, and
each time everybody waits: 1 to 20 ms were measured, while a container's creation takes 0.2 ms. Nearly all of our garbage is freed
without it, by reference counts.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

EVERY_S = 10.0
"""What was made since the last time is looked through: 8 ms after passes over 500 containers."""
ALL_EVERY_S = 3600.0
"""Everything is, in 35 ms beside 500 containers: what has become garbage after it had been put aside is found then."""


class GarbageCollector:
    """In charge of the whole process from `start` to `stop`."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._next_s = self._all_s = 0.0

    def start(self) -> None:
        """Put aside what lives now, for it lives for ever."""
        gc.disable()
        self._all_s = self._monotonic()
        self.step()

    def step(self) -> None:
        """Collect if it is time; to be called every now and then."""
        now = self._monotonic()
        if now >= self._all_s:
            gc.unfreeze()
            self._all_s = now + ALL_EVERY_S
        elif now < self._next_s:
            return
        gc.collect()
        gc.freeze()
        self._next_s = now + EVERY_S

    def stop(self) -> None:
        """Leave it to Python again."""
        gc.unfreeze()
        gc.enable()
