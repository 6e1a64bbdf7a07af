"""Runs Python's cyclic garbage collector between events, not in the middle of one.

Left alone, the collector runs when enough objects were made; a pass over 500 containers makes tens of thousands. Each run stops everybody:
1 to 20 ms were measured, while a container's creation takes 0.2 ms. Nearly all of our garbage is freed by reference counts anyway.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

EVERY_S = 10.0
"""s between collections of young objects: 8 ms each, after passes over 500 containers."""
ALL_EVERY_S = 3600.0
"""s between collections of everything, 35 ms with 500 containers: these find garbage among the objects that were frozen."""


class GarbageCollector:
    """Controls collection in the whole process from `start` to `stop`."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._next_s = self._all_s = 0.0

    def start(self) -> None:
        """Freeze all present objects, since they live as long as the process."""
        gc.disable()
        self._all_s = self._monotonic()
        self.step()

    def step(self) -> None:
        """Collect if it is time. Call it every second or so."""
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
        """Return control to Python."""
        gc.unfreeze()
        gc.enable()
