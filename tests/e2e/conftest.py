"""Fixtures of the end-to-end tests: each test runs on every containerd of the laboratory, and on CRI-O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import lab
from tests.e2e.daemon import Daemon

if TYPE_CHECKING:
    from tests.e2e.containerd import Containerd
    from tests.e2e.kubelet import Kubelet

# In the virtual machine everything takes ten times as long, and these tests are about seconds.
collect_ignore = (
    [f"test_e2e_{name}.py" for name in ("churn", "diff", "gpu", "image", "record", "volumes")]
    if lab.SYSTEMD
    else ["test_e2e_drift_systemd.py"]
)
if not (lab.SYSTEMD and lab.RUNC.name == "crun"):
    collect_ignore.append("test_e2e_inner.py")


ON_CRIO = frozenset(
    f"test_e2e_{name}.py" for name in ("create", "exclusive_cpus", "life", "memory", "reconcile", "restart", "update")
)
"""On CRI-O run the tests of what a runtime does: creates, updates, ends and finds again. What koordnri answers to questions, and what the
kernel makes of a value, is not the runtime's."""
NOT_ON_CRIO = frozenset(
    ("test_a_pod_whose_cgroup_has_gone_holds_nothing", "test_a_second_sandbox_of_a_pod_finds_its_cpus_again")
)
"""They kill a pod's pause container, and CRI-O runs none."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory drives a real runtime; CRI-O not everything."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
    items[:] = [item for item in items if not _left_out_on_crio(item)]


def _left_out_on_crio(item: pytest.Item) -> bool:
    if getattr(item, "callspec", None) is None or item.callspec.params.get("runtime") != lab.CRIO:
        return False
    return item.path.name not in ON_CRIO or item.originalname in NOT_ON_CRIO


# `make test` has time for one containerd, the newest.
_RUNTIMES = [*(pytest.param(name, marks=pytest.mark.full) for name in lab.RUNTIMES[:-1]), lab.RUNTIMES[-1]]


@pytest.fixture(scope="session", params=_RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Iterator[Containerd]:
    """A running containerd, once per version for the whole session."""
    reason = lab.lacks(request.param)
    if reason is not None:
        # In CI nothing is skipped.
        (pytest.fail if lab.CI else pytest.skip)(reason)
    # Here, for it needs grpcio and the laboratory's CRI messages.
    from tests.e2e.running import running

    with running(request.param) as containerd:
        yield containerd


@pytest.fixture
def kubelet(request: pytest.FixtureRequest, runtime: Containerd) -> Iterator[Kubelet]:
    """A kubelet of that containerd, whose pods are gone after the test."""
    from tests.e2e.kubelet import Kubelet

    if not runtime.alive:
        # A test that killed it failed before it could start it again.
        runtime.start()
    own = Kubelet(runtime)
    try:
        yield own
    finally:
        own.cleanup()
        # pytest shows this for failing tests only.
        print(f"--- end of {runtime.log}\n{runtime.log_tail()}")
        if "daemon" in request.fixturenames:
            daemon = request.getfixturevalue("daemon")
            print(f"--- end of {daemon.log}\n{daemon.log_tail()}")


@pytest.fixture(scope="module")
def daemon(runtime: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon on the default policy, ready; one for a whole file of tests, which leave it and the runtime alone.

    In the virtual machine starting one takes longer than a test.
    """
    shared = Daemon(runtime.nri_socket, tmp_path_factory.mktemp("daemon"))
    try:
        shared.start()
        yield shared
    finally:
        shared.stop()


@pytest.fixture
def new_daemon(runtime: Containerd, kubelet: Kubelet, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Makes daemons for that containerd, not yet started; options as Daemon's. They end before the pods go."""
    made: list[Daemon] = []

    def new(**options: Any) -> Daemon:
        work = tmp_path / f"daemon{len(made)}"
        work.mkdir()
        made.append(Daemon(runtime.nri_socket, work, **options))
        return made[-1]

    try:
        yield new
    finally:
        for own in made:
            own.stop()
            print(f"--- end of {own.log}\n{own.log_tail()}")


@pytest.fixture
def own_daemon(new_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon on the default policy, ready, for a test that kills it or its runtime."""
    own = new_daemon()
    own.start()
    return own
