"""Stands in for the locks that the product constructs, and writes down which one is taken while which is held."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.constructions import ROOT, in_code

KINDS = ("Lock", "RLock", "Condition")

Pair = tuple[str, str]
"""(held, taken), as docs/design/threads.md names them"""


class LockRecord:
    """From `install` on, each lock that a line of the product constructs is a recorded one; all others stay Python's own."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.nested: set[Pair] = set()
        self._names = {(str(ROOT / one.file), one.line): one.name for one in in_code() if one.kind in KINDS}
        self._held = threading.local()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for kind in KINDS:
            monkeypatch.setattr(threading, kind, self._factory(getattr(threading, kind)))

    def _factory(self, make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any) -> Any:
            frame = sys._getframe(1)
            name = self._names.get((str(Path(frame.f_code.co_filename).resolve()), frame.f_lineno))
            lock = make(*args)
            return lock if name is None else _Recorded(name, lock, self)

        return made

    def acquired(self, name: str) -> None:
        held = self._of_thread()
        self.nested |= {(other, name) for other in held if other != name}
        held.append(name)
        self.taken.add(name)

    def released(self, name: str) -> None:
        held = self._of_thread()
        del held[len(held) - 1 - held[::-1].index(name)]

    def _of_thread(self) -> list[str]:
        if not hasattr(self._held, "names"):
            self._held.names = []
        names: list[str] = self._held.names
        return names


class _Recorded:
    """A lock or condition. While `wait` waits, the condition's lock counts as held: its thread takes no other one meanwhile."""

    def __init__(self, name: str, lock: Any, record: LockRecord) -> None:
        self._name, self._lock, self._record = name, lock, record

    def __enter__(self) -> Any:
        self._lock.__enter__()
        self._record.acquired(self._name)
        return self

    def __exit__(self, *error: Any) -> Any:
        self._record.released(self._name)
        return self._lock.__exit__(*error)

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        taken: bool = self._lock.acquire(*args, **kwargs)
        if taken:
            self._record.acquired(self._name)
        return taken

    def release(self) -> None:
        self._record.released(self._name)
        self._lock.release()

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._lock, attribute)
