"""A watch of cgroup directories that reports what the test says."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from koordnri.host.cgroup.watch import TakenEvents


class FakeWatch:
    """Of a fake kernel's directories. What was written, the test says."""

    def __init__(self, exists: Callable[[str], bool]) -> None:
        self.watched: set[str] = set()
        self.most = 10_000
        self.held = False
        self.taken = TakenEvents(set(), set(), False)
        self._exists = exists

    def __len__(self) -> int:
        return len(self.watched)

    def add(self, directory: str) -> bool:
        if not self._exists(directory):
            return False
        if directory not in self.watched and len(self.watched) >= self.most:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.watched.add(directory)
        return True

    def remove(self, directory: str) -> None:
        self.watched.discard(directory)

    def hold(self, held: bool) -> None:
        self.held = held

    def take(self) -> TakenEvents:
        taken, self.taken = self.taken, TakenEvents(set(), set(), False)
        return taken

    def close(self) -> None:
        self.watched.clear()
