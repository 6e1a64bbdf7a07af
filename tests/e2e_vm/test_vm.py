"""tests/e2e once more where most nodes are: cgroup v2, the systemd driver, a newer runc, 2 NUMA nodes, Python 3.13.

The suite runs inside a virtual machine without KVM; each of its results is reported here under its own name.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.e2e import lab
from tests.e2e_vm import job
from tools.vm import facts
from tools.vm.machine import lacks, run_job

pytestmark = pytest.mark.e2e

RUNTIMES = ("containerd-1.7", "containerd-2")
TIMEOUT_S = 420
"""Ends a machine that hangs; the run itself takes far less."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the suite inside."""

    exit_code: int
    out: Path
    console: str

    def cases(self) -> list[ElementTree.Element]:
        """Every test that the suite inside reported."""
        report = self.out / "junit.xml"
        assert report.exists(), f"the suite inside wrote no report; its console:\n{self.console[-4000:]}"
        return list(ElementTree.parse(report).iter("testcase"))


@pytest.fixture(scope="module")
def run() -> Run:
    """The suite's one run, for booting once per test would take minutes. Its files stay until the next run."""
    reason = lacks(lab.LAB_DIR)
    if reason is not None:
        (pytest.fail if lab.CI else pytest.skip)(reason)
    work, out = lab.LAB_DIR / "vm" / "e2e-job", lab.LAB_DIR / "vm" / "e2e-out"
    for directory in (work, out):
        if directory.exists():
            shutil.rmtree(directory)
    try:
        job.make(work, lab.ROOT, lab.LAB_DIR, RUNTIMES)
        exit_code = run_job(lab.LAB_DIR, work, out, TIMEOUT_S)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Run(exit_code, out, (out / "console.log").read_text(errors="replace").replace("\r", ""))


def test_the_guest_is_a_node_with_cgroup_v2_systemd_and_two_numa_nodes(run: Run) -> None:
    found = facts.parse(run.out)
    assert found["/proc/1/comm"] == "systemd"
    assert {"cpuset", "cpu", "io", "memory", "pids"} <= set(found["/sys/fs/cgroup/cgroup.controllers"].split())
    assert (found["node/node0/cpulist"], found["node/node1/cpulist"]) == ("0-3", "4-7")
    assert found["cpu/cpu0/topology/thread_siblings_list"] == "0-1"
    assert found["cpu/cpu4/topology/physical_package_id"] == "1"
    assert found["cpu/cpu4/cache/index3/shared_cpu_list"] == "4-7"


def test_each_test_inside_passes(run: Run, subtests: pytest.Subtests) -> None:
    for case in run.cases():
        with subtests.test(f"{case.get('classname')}::{case.get('name')}"):
            problems = [*case.findall("failure"), *case.findall("error"), *case.findall("skipped")]
            for problem in problems:
                pytest.fail(f"{problem.tag} inside: {problem.get('message')}\n{problem.text}", pytrace=False)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_suite_inside_ran_on_both_containerds(run: Run, runtime: str) -> None:
    ran = [case.get("name", "") for case in run.cases() if case.find("skipped") is None]
    # The session's containerd is a parameter of each test of the suite.
    assert any(f"[{runtime}" in name or f"-{runtime}" in name for name in ran), f"no test ran on {runtime}: {ran}"


def test_the_suite_inside_ends_well(run: Run) -> None:
    summary = run.console[-3000:]
    # Shown by pytest -rP, and whenever this fails.
    print(summary)
    assert run.exit_code == 0, f"pytest inside ended with {run.exit_code}, its last lines:\n{summary}"
