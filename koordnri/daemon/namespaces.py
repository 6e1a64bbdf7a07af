"""The labels of all namespaces, watched only while a trust rule of the policy in force selects by them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from koordnri.kube import NamespaceWatch
from koordnri.kube.watch import Watch


class Namespaces:
    """Any thread may call it.

    make   a new watch, not started; a watch that was stopped cannot start again
    """

    def __init__(self, make: Callable[[], NamespaceWatch]) -> None:
        self._make = make
        self._started = False
        self._present: NamespaceWatch | None = None
        self._lock = threading.Lock()

    @property
    def labels(self) -> Mapping[str, Mapping[str, str]]:
        """Namespace → its labels, as far as they are wanted and known."""
        present = self._present
        return {} if present is None else present.labels

    @property
    def watches(self) -> Mapping[str, Watch[Any]]:
        """The watch by its kind, while there is one."""
        present = self._present
        return {} if present is None else {"namespaces": present.watch}

    def want(self, wanted: bool) -> None:
        """Watch from now on, or no longer."""
        with self._lock:
            before = self._present
            if wanted == (before is not None):
                return
            self._present = after = self._make() if wanted else None
            started = self._started
        if before is not None:
            before.watch.stop(0.0)
        elif after is not None and started:
            after.watch.start()

    def start(self) -> None:
        """From now on watches start as soon as they are wanted."""
        with self._lock:
            self._started, present = True, self._present
        if present is not None:
            present.watch.start()

    def stop(self) -> None:
        """The daemon ends."""
        for watch in self.watches.values():
            watch.stop()
