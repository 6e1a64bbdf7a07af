from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from koordnri.kube import Api, Timing, connect
from tests.kube import control_plane, fake_api
from tests.kube.api_server import ADMIN
from tests.kube.rights import Deployed
from tests.kube.watched import Watching, write_kubeconfig

_numbers = itertools.count(1)


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


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control_plane.ControlPlane]:
    """A real API server, one for all tests, which leave it running and work in namespaces of their own."""
    with control_plane.running(tmp_path_factory.mktemp("plane")) as real:
        yield real


@pytest.fixture(scope="session")
def deployed(plane: control_plane.ControlPlane) -> Deployed:
    """The rights that deploy/ gives the daemon."""
    return Deployed(plane)


@pytest.fixture
def may_evict(deployed: Deployed) -> Iterator[None]:
    """The daemon's role as the component deploy/eviction makes it."""
    with deployed.extended("eviction"):
        yield


@pytest.fixture
def namespace(plane: control_plane.ControlPlane) -> str:
    """A new one in the real API server."""
    name = f"shop-{next(_numbers)}"
    plane.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest.fixture
def real_api(plane: control_plane.ControlPlane, tmp_path: Path) -> Api:
    """As somebody who may do everything."""
    return connect(plane.kubeconfig(tmp_path, ADMIN))
