"""The cgroup directories that are watched for foreign writes, and who needs each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from koordnri.host.cgroup.watch import TakenEvents
from koordnri.model.log import Log

TRIES_AGAIN_S = 60.0
"""s after which the kernel is asked again, once it refused further watches."""


class WatchPort(Protocol):
    """The part of `koordnri.host.cgroup.watch` that is used here."""

    def __len__(self) -> int: ...

    def add(self, directory: str) -> bool: ...

    def remove(self, directory: str) -> None: ...

    def hold(self, held: bool) -> None: ...

    def take(self) -> TakenEvents: ...

    def close(self) -> None: ...


OpenWatch = Callable[[Callable[[], None]], WatchPort]
"""Makes the watch; gets the function to call when there is something to take. Raises OSError when the kernel refuses"""


class Watches:
    """Used by the reconcile thread. An owner is the id of a pod, or a word for the cgroups above the pods.

    open_watch   see OpenWatch
    warn         sends a Warning Event on the Node: reason, message
    """

    def __init__(
        self, open_watch: OpenWatch, log: Log, warn: Callable[[str, str], None], monotonic: Callable[[], float]
    ) -> None:
        self.changes = 0
        """rises when a directory is watched, or asked for again after a refusal"""
        self.fresh: set[str] = set()
        """directories whose watch has just begun: writes before it were not reported. Whoever has checked them clears it"""
        self.refused: set[str] = set()
        """directories that the kernel refused to watch, as of the last attempt"""
        self._open_watch = open_watch
        self._log = log
        self._warn = warn
        self._monotonic = monotonic
        self._watch: WatchPort | None = None
        self._owners: dict[str, set[str]] = {}
        """directory → its owners; several for a directory above pods"""
        self._refused_until = float("-inf")
        self._reported = False

    def __len__(self) -> int:
        """Number of watched directories."""
        return 0 if self._watch is None else len(self._watch)

    @property
    def open(self) -> bool:
        """Whether anything can be watched."""
        return self._watch is not None

    def start(self, woken: Callable[[], None]) -> None:
        """Open the watch; when the kernel refuses, it stays closed."""
        try:
            self._watch = self._open_watch(woken)
        except OSError as error:
            self._cannot(error)

    def stop(self) -> None:
        """Close the watch."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def add(self, directory: str, owner: str) -> bool:
        """Watch a directory for this owner. If it is watched already, check that it is still the same one.

        Returns whether it exists; one that cannot be watched is added to the refused ones, and counts as existing.
        """
        new = directory not in self._owners
        self.changes += new or directory in self.refused
        if self._watch is None or (new and self._monotonic() < self._refused_until):
            self.refused.add(directory)
            return True
        try:
            there = self._watch.add(directory)
        except OSError as error:
            self._refused_until = self._monotonic() + TRIES_AGAIN_S
            self.refused.add(directory)
            self._cannot(error)
            return True
        self.refused.discard(directory)
        if there:
            if new:
                self.fresh.add(directory)
            self._owners.setdefault(directory, set()).add(owner)
        return there

    def leave(self, owner: str, directories: Iterable[str]) -> None:
        """This owner needs these directories no longer."""
        for directory in directories:
            self.refused.discard(directory)
            owners = self._owners.get(directory)
            if owners is None:
                continue
            owners.discard(owner)
            if not owners:
                del self._owners[directory]
                self.fresh.discard(directory)
                if self._watch is not None:
                    self._watch.remove(directory)

    def hold(self, held: bool) -> None:
        """Whether a pass writes files now. Their events are read after it, when they can be handled."""
        if self._watch is not None:
            self._watch.hold(held)

    def take(self) -> TakenEvents:
        """Everything that happened since the last call."""
        return TakenEvents(set(), set(), False) if self._watch is None else self._watch.take()

    def owners(self, directory: str) -> Collection[str]:
        """Who needs this directory."""
        return self._owners.get(directory, ())

    def vanished(self, directory: str) -> Collection[str]:
        """The directory was removed, and its watch with it. Returns who needed it."""
        return self._owners.pop(directory, ())

    def _cannot(self, error: OSError) -> None:
        """Report once that the kernel refuses watches: then sweeps do their work."""
        if self._reported:
            return
        self._reported = True
        why = f"{os.strerror(error.errno or 0)}: see /proc/sys/fs/inotify/max_user_watches and max_user_instances"
        self._log.warning("cgroup_watch_limited", watched=len(self), error=why)
        self._warn("DriftSeenLate", f"what others write into cgroups is found only every 10 s: inotify: {why}")
