"""tests/e2e once more where most nodes are: cgroup v2, the systemd driver, a newer runc, 2 NUMA nodes, Python 3.13.

The suite runs inside a virtual machine without KVM; each of its results is reported here under its own name.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.e2e import lab
from tests.e2e_vm import job
from tests.kube import control_plane
from tests.kube.api_server import ApiServer
from tools.vm import facts
from tools.vm.machine import lacks, run_job

# The first test waits for the machines.
pytestmark = [pytest.mark.e2e, pytest.mark.full, pytest.mark.timeout(3000)]


def files(*names: str) -> tuple[str, ...]:
    """pytest's arguments for these test_e2e_….py."""
    return tuple(f"tests/e2e/test_e2e_{name}.py" for name in names)


def all_but(*names: str) -> tuple[str, ...]:
    """pytest's arguments for all of tests/e2e without these."""
    return ("tests/e2e", *(f"--ignore=tests/e2e/test_{name}.py" for name in names))


MACHINES = {
    "containerd-2": (
        job.Share(
            "containerd-2",
            "runc",
            all_but(
                "command",
                "lab",
                "e2e_cpu_time",
                "e2e_create",
                "e2e_doctor",
                "e2e_drift",
                "e2e_exclusive_cpus",
                "e2e_memory",
                "e2e_policy",
                "e2e_reconcile",
                "e2e_record",
                "e2e_restart",
                "e2e_status",
                "e2e_third_party",
                "e2e_trust_cpus",
                "e2e_trust_node",
                "e2e_update",
                "e2e_writable_cgroups",
            ),
        ),
        job.Share(lab.CONTAINERD_2_4, "crun", files("inner", "drift", "cpu_time", "exclusive_cpus", "record")),
    ),
    "containerd-1.7": (
        job.Share(
            "containerd-1.7",
            "runc",
            files(
                "cpu_time",
                "create",
                "drift",
                "memory",
                "policy",
                "reconcile",
                "restart",
                "update",
                "writable_cgroups",
            ),
        ),
    ),
    lab.CRIO: (
        job.Share(lab.CRIO, "crun", files("inner", "create", "update", "life", "restart", "memory", "reconcile")),
    ),
}
"""Machine → what it runs, one share after the other; the machine that takes longest comes first. What cgroup v2 makes different is the
kernel's, so that most files run on one runtime; a new one does so on containerd-2. What a runtime does itself (creations, updates,
restarts, a container's life) is in two machines.

The laboratory's tests and those of these tests' own tools run outside only. So do files whose result is the same inside: what doctor and
status say of a node, and whom a policy believes. Outside, containerd 1.7 and 2 run nearly everything, on this host's cgroups.

crun keeps processes one level below the container's scope. With systemd and cgroup v2 that is how nodes have CRI-O: its machine
has no runc.
"""
WITH_API_SERVER = "containerd-2"
"""The machine that reaches a real API server, which runs out here: in there its start would take minutes."""
TIMEOUT_S = 2400
"""Ends a machine that hangs; a run itself takes about 15 minutes on one core."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one machine ran."""

    shares: tuple[job.Share, ...]
    exit_code: int
    out: Path
    console: str

    def cases(self, share: job.Share) -> list[ElementTree.Element]:
        """Every test that this share of it reported."""
        report = self.out / share.report
        assert report.exists(), f"the suite inside wrote no report; its console:\n{self.console[-4000:]}"
        return list(ElementTree.parse(report).iter("testcase"))


def run_inside(machine: str, plane: control_plane.ControlPlane) -> Run:
    """The machine's shares of the suite. Its files stay until the next run."""
    work, out = (lab.LAB_DIR / "vm" / f"e2e-{kind}-{machine}" for kind in ("job", "out"))
    for directory in (work, out):
        if directory.exists():
            shutil.rmtree(directory)
    try:
        server, address = None, ""
        if machine == WITH_API_SERVER:
            address = job.HOST_ADDRESS
            server = ApiServer(f"https://{address}:{plane.port}", plane.certificate)
        job.make(work, lab.ROOT, lab.LAB_DIR, MACHINES[machine], server)
        exit_code = run_job(lab.LAB_DIR, work, out, TIMEOUT_S, one_core=True, host_address=address)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Run(MACHINES[machine], exit_code, out, (out / "console.log").read_text(errors="replace").replace("\r", ""))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control_plane.ControlPlane]:
    """A real API server; it runs as long as the machines."""
    with control_plane.running(tmp_path_factory.mktemp("plane")) as real:
        yield real


@pytest.fixture(scope="module")
def runs(plane: control_plane.ControlPlane) -> dict[str, Run]:
    """What each machine ran, once for all tests here: two machines at a time, one core each."""
    reason = lacks(lab.LAB_DIR)
    if reason is not None:
        (pytest.fail if lab.CI else pytest.skip)(reason)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(MACHINES, pool.map(partial(run_inside, plane=plane), MACHINES), strict=True))


@pytest.fixture(params=MACHINES)
def run(request: pytest.FixtureRequest, runs: dict[str, Run]) -> Run:
    """What one machine ran."""
    return runs[request.param]


def test_the_guest_is_a_node_with_cgroup_v2_systemd_and_two_numa_nodes(run: Run) -> None:
    found = facts.parse(run.out)
    assert found["/proc/1/comm"] == "systemd"
    assert {"cpuset", "cpu", "io", "memory", "pids"} <= set(found["/sys/fs/cgroup/cgroup.controllers"].split())
    assert (found["node/node0/cpulist"], found["node/node1/cpulist"]) == ("0-3", "4-7")
    assert found["cpu/cpu0/topology/thread_siblings_list"] == "0-1"
    assert found["cpu/cpu4/topology/physical_package_id"] == "1"
    assert found["cpu/cpu4/cache/index3/shared_cpu_list"] == "4-7"


def test_each_test_inside_ran_and_passed(run: Run, subtests: pytest.Subtests) -> None:
    for share in run.shares:
        cases = run.cases(share)
        assert cases, f"{share.name} ran no test; the last lines:\n{run.console[-3000:]}"
        for case in cases:
            with subtests.test(f"{share.name}: {case.get('classname')}::{case.get('name')}"):
                for problem in [found for kind in ("failure", "error", "skipped") for found in case.findall(kind)]:
                    pytest.fail(f"{problem.tag} inside: {problem.get('message')}\n{problem.text}", pytrace=False)


def test_the_suite_inside_ends_well(run: Run) -> None:
    summary = run.console[-3000:]
    # Shown by pytest -rP, and whenever this fails.
    print(summary)
    assert run.exit_code == 0, f"pytest inside ended with {run.exit_code}, its last lines:\n{summary}"
