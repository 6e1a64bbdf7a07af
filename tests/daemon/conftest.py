"""A daemon in a directory, its runtime, its policy and its host."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.runtime import Runtime
from tests.daemon.running import GOOD, FakeHost, Running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts daemons in one directory; stops them, and takes back what `run` sets for the whole process."""
    interval, running = sys.getswitchinterval(), []

    def start(**config: Any) -> Running:
        running.append(Running(tmp_path, **config))
        return running[-1]

    yield start
    for daemon in running:
        daemon.close()
    sys.setswitchinterval(interval)
    gc.unfreeze()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime(tmp_path / "nri.sock") as runtime:
        yield runtime


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path / "host")
