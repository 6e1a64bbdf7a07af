from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import fake_api
import pytest
import structlog
from structlog.testing import LogCapture
from watched import Watching, write_kubeconfig

from koordnri.kube import Api, Timing, connect


@pytest.fixture
def captured() -> LogCapture:
    return LogCapture()


@pytest.fixture
def log(captured: LogCapture) -> Any:
    return structlog.wrap_logger(None, processors=[captured])


@pytest.fixture
def fake() -> Iterator[fake_api.FakeApi]:
    with fake_api.FakeApi() as server:
        yield server


@pytest.fixture
def kubeconfig(tmp_path: Path, fake: fake_api.FakeApi) -> Path:
    """For the fake server, with the token in a file beside it."""
    return write_kubeconfig(tmp_path, fake.url)


@pytest.fixture
def api(kubeconfig: Path) -> Api:
    return connect(kubeconfig)


@pytest.fixture
def watching(api: Api, log: Any) -> Generator[Callable[..., Watching], None, None]:
    """Starts a watch of the ConfigMap koordnri-system/policy."""
    started: list[Watching] = []

    def start(timing: Timing | None = None, **keywords: Any) -> Watching:
        it = Watching(api, log, timing or Timing(), **keywords)
        started.append(it)
        it.watch.start()
        return it

    yield start
    for it in started:
        it.watch.stop()
        assert not it.watch.alive
