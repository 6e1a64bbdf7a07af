"""Fixtures of the end-to-end tests: each test runs on every containerd of the laboratory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e import lab

if TYPE_CHECKING:
    from tests.e2e.containerd import Containerd
    from tests.e2e.kubelet import Kubelet


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory drives a real containerd."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session", params=lab.RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Iterator[Containerd]:
    """A running containerd, once per version for the whole session."""
    reason = lab.lacks(request.param)
    if reason is not None:
        # In CI nothing is skipped.
        (pytest.fail if lab.CI else pytest.skip)(reason)
    from tests.e2e.containerd import Containerd  # needs grpcio and the laboratory's CRI messages

    # Short, for a unix socket's path may have 107 bytes.
    work = Path(tempfile.mkdtemp(prefix="kn-", dir="/tmp"))
    containerd = Containerd(request.param, work)
    try:
        containerd.start()
        yield containerd
    finally:
        containerd.stop()
        shutil.rmtree(work)


@pytest.fixture
def kubelet(runtime: Containerd) -> Iterator[Kubelet]:
    """A kubelet of that containerd, whose pods are gone after the test."""
    from tests.e2e.kubelet import Kubelet

    own = Kubelet(runtime)
    try:
        yield own
    finally:
        own.cleanup()
        # pytest shows this for failing tests only.
        print(f"--- end of {runtime.log}\n{runtime.log_tail()}")
