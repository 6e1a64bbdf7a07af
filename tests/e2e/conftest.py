"""Fixtures of the end-to-end tests: each test runs on the containerds that nodes have, a part of them on CRI-O and containerd 2.4."""

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

# In the virtual machine everything takes ten times as long. These tests are about seconds, or about what the runtime does.
collect_ignore = (
    [
        f"test_e2e_{name}.py"
        for name in (
            "churn",
            "diff",
            "gpu",
            "image",
            "demo",
            "isolation",
            "launched",
            "v010",
            "validator",
            "volumes",
        )
    ]
    if lab.SYSTEMD
    else ["test_e2e_drift_systemd.py", "test_e2e_evict.py"]
)
if not (lab.SYSTEMD and lab.RUNC.name == "crun"):
    collect_ignore.append("test_e2e_inner.py")


SHARES = {
    lab.CRIO: frozenset(
        (
            "create",
            "exclusive_cpus",
            "injection",
            "inner",
            "launched",
            "life",
            "memory",
            "reconcile",
            "restart",
            "update",
            "validator",
        )
    ),
    lab.CONTAINERD_2_4: frozenset(
        ("churn", "create", "injection", "launched", "record", "restart", "update", "validator")
    ),
}
"""Runtime → the test_e2e_….py that it runs on this machine's cgroups; one that is absent here runs all.

On CRI-O run the tests of what a runtime does: creates, updates, ends and finds again. What koordnri answers to questions, and what the
kernel makes of a value, is not the runtime's. containerd 2.4 differs from the others in how updates reach it, at any time, and in
that it knows every adjustment.
"""
NOT_ON = {
    lab.CRIO: frozenset(
        # They kill a pod's pause container, and CRI-O runs none.
        (
            "test_a_pod_whose_cgroup_has_gone_holds_nothing",
            "test_a_second_sandbox_of_a_pod_finds_its_cpus_again",
            # This one is about no container at all.
            "test_a_service_outside_of_pods_gets_what_its_class_has_and_gives_it_back",
        )
    ),
    lab.CONTAINERD_2_4: frozenset(
        # By other routes than its own, or by none; whoever dies, as on containerd 2.1.
        (
            "test_a_route_that_is_asked_for_is_taken",
            "test_what_was_written_and_never_recorded_does_not_survive_an_update",
            "test_churn_with_the_daemon_killed_and_restarted_in_the_middle",
            "test_churn_with_the_runtime_killed_and_restarted_in_the_middle",
        )
    ),
}
"""Runtime → tests of its files that it does not run."""
LEFT_TO_OTHERS = {"containerd-1.7": frozenset(("control", "isolation", "map_top", "neighbours", "quota_burst"))}
"""Runtime → test_e2e_….py that it does not run: feedback controllers, the sampler and what shows or measures CPUs read and write cgroup
files over many seconds, and ask no runtime."""
ONLY_IN_MACHINE = {
    "injection": frozenset(("test_a_cgroup_is_writable_where_the_host_delegates_it",)),
    "map_top": frozenset(("test_top_shows_a_busy_container_that_its_quota_holds_back",)),
    "quota_burst": frozenset(("test_turned_off_or_killed_in_the_middle_nothing_of_it_stays",)),
    "record": frozenset(("test_what_was_recorded_survives_an_update",)),
}
"""test_e2e_….py → those of its tests that run in the virtual machine: what cgroup v2 makes possible, or different. All others are the
runtime's, or would cost minutes there."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory drives a real runtime; not every runtime everything."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
    items[:] = [item for item in items if not _left_out(item)]


def _left_out(item: pytest.Item) -> bool:
    name = item.path.stem.removeprefix("test_e2e_")
    if lab.SYSTEMD and item.originalname not in ONLY_IN_MACHINE.get(name, (item.originalname,)):
        return True
    runtime = item.callspec.params.get("runtime") if hasattr(item, "callspec") else None
    if item.originalname in NOT_ON.get(runtime, ()):
        return True
    # In the machine, tests/e2e_vm/test_vm.py names the files of each runtime.
    return not lab.SYSTEMD and (name in LEFT_TO_OTHERS.get(runtime, ()) or name not in SHARES.get(runtime, (name,)))


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
