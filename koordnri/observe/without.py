"""Imports a library without an optional one that it would take along."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(module: str) -> Iterator[None]:
    """Imports in this block do not find the module, unless it was imported before. Afterwards it can be imported as ever."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # Python's documented way to make an import fail
    try:
        yield
    finally:
        del sys.modules[module]
