"""tests/e2e once more where most nodes are: cgroup v2, the systemd driver, a newer runc, 2 NUMA nodes, Python 3.13.

The suite runs inside a virtual machine without KVM; each of its results is reported here under its own name.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.e2e import lab
from tests.e2e_vm import job
from tools.vm import facts
from tools.vm.machine import lacks, run_job

# The first test waits for the machines.
pytestmark = [pytest.mark.e2e, pytest.mark.full, pytest.mark.timeout(2300)]

RUNTIMES = {
    "containerd-1.7": (
        "command",
        "lab",
        "e2e_blkio",
        "e2e_doctor",
        "e2e_drift_systemd",
        "e2e_explain",
        "e2e_kubelet_cpus",
        "e2e_exclusive_cpus",
        "e2e_map_top",
        "e2e_sandbox_cpus",
        "e2e_status",
        "e2e_third_party",
        "e2e_trust_cpus",
        "e2e_trust_node",
        "e2e_why",
    ),
    "containerd-2": (
        "command",
        "lab",
        "e2e_cpu_time",
        "e2e_create",
        "e2e_doctor",
        "e2e_drift",
        "e2e_memory",
        "e2e_exclusive_cpus",
        "e2e_policy",
        "e2e_reconcile",
        "e2e_restart",
        "e2e_status",
        "e2e_third_party",
        "e2e_trust_cpus",
        "e2e_update",
    ),
}
"""Containerd → what its machine leaves to the other one, or to crun: what cgroup v2 makes different is the kernel's, not the runtime's.
Tests of the laboratory and of these tests' own tools run outside only. What doctor and status say of a node is the same inside, and takes
minutes there; to whom a policy gives CPUs (e2e_trust_cpus) is the same, too. Outside, both run everything, on this host's cgroups. A
container's life (e2e_life) is the runtime's, too: it is in both.
"""
UNDER_CRUN = {
    "containerd-2": ("e2e_inner", "e2e_reconcile", "e2e_drift", "e2e_cpu_time", "e2e_memory", "e2e_exclusive_cpus"),
}
"""Containerd → what runs once more in its machine, with crun, which keeps processes one level below the container's scope."""
TIMEOUT_S = 2000
"""Ends a machine that hangs; a run itself takes about 15 minutes on one core."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the suite inside."""

    exit_code: int
    out: Path
    console: str

    def cases(self) -> list[ElementTree.Element]:
        """Every test that the suite inside reported."""
        return self._cases(job.REPORT)

    def cases_under_crun(self) -> list[ElementTree.Element]:
        """The same of the run under crun."""
        return self._cases(job.CRUN_REPORT)

    def _cases(self, name: str) -> list[ElementTree.Element]:
        report = self.out / name
        assert report.exists(), f"the suite inside wrote no report; its console:\n{self.console[-4000:]}"
        return list(ElementTree.parse(report).iter("testcase"))


def run_inside(runtime: str) -> Run:
    """The machine's share of the suite on one containerd. Its files stay until the next run."""
    work, out = (lab.LAB_DIR / "vm" / f"e2e-{kind}-{runtime}" for kind in ("job", "out"))
    for directory in (work, out):
        if directory.exists():
            shutil.rmtree(directory)
    try:
        left_out = [f"--ignore=tests/e2e/test_{module}.py" for module in RUNTIMES[runtime]]
        under_crun = [f"tests/e2e/test_{module}.py" for module in UNDER_CRUN.get(runtime, ())]
        job.make(work, lab.ROOT, lab.LAB_DIR, [runtime], ["tests/e2e", *left_out], under_crun)
        exit_code = run_job(lab.LAB_DIR, work, out, TIMEOUT_S, one_core=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Run(exit_code, out, (out / "console.log").read_text(errors="replace").replace("\r", ""))


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """The suite's run on each containerd, once for all tests here: both machines at a time, one core each."""
    reason = lacks(lab.LAB_DIR)
    if reason is not None:
        (pytest.fail if lab.CI else pytest.skip)(reason)
    with ThreadPoolExecutor(len(RUNTIMES)) as pool:
        return dict(zip(RUNTIMES, pool.map(run_inside, RUNTIMES), strict=True))


@pytest.fixture(params=RUNTIMES)
def run(request: pytest.FixtureRequest, runs: dict[str, Run]) -> Run:
    """The run on one containerd."""
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
    check(run, run.cases(), subtests)


@pytest.mark.parametrize("runtime", UNDER_CRUN)
def test_each_test_under_crun_ran_and_passed(runtime: str, runs: dict[str, Run], subtests: pytest.Subtests) -> None:
    check(runs[runtime], runs[runtime].cases_under_crun(), subtests)


def check(run: Run, cases: list[ElementTree.Element], subtests: pytest.Subtests) -> None:
    """Report each of these tests under its own name."""
    assert cases, f"the suite inside ran no test; its last lines:\n{run.console[-3000:]}"
    for case in cases:
        with subtests.test(f"{case.get('classname')}::{case.get('name')}"):
            for problem in [found for kind in ("failure", "error", "skipped") for found in case.findall(kind)]:
                pytest.fail(f"{problem.tag} inside: {problem.get('message')}\n{problem.text}", pytrace=False)


def test_the_suite_inside_ends_well(run: Run) -> None:
    summary = run.console[-3000:]
    # Shown by pytest -rP, and whenever this fails.
    print(summary)
    assert run.exit_code == 0, f"pytest inside ended with {run.exit_code}, its last lines:\n{summary}"
