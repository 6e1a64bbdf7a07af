"""`koordnri verify` and CPU suppress: a BE pod is as expected while best-effort work is suppressed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.cli.control import question
from koordnri.cli.verify_expected import Expected
from koordnri.cli.verify_judge import Found, judge
from koordnri.cli.verify_pods import SAMPLES
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.fields import CPU_QUOTA
from tests.daemon.kubelet_node import KubeletNode
from tests.support.waiting import eventually

[BE] = [sample for sample in SAMPLES if sample.title == "BE"]
QUOTA_US = 20_000
SUPPRESS = "resource-threshold-config: {clusterStrategy: {enable: true, cpuSuppressThresholdPercent: 50, cpuSuppressPolicy: %s}}\n"


class Node(KubeletNode):
    """A BE pod on an idle node of four CPUs, of which batch is to use two."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "{}\n")
        self.root.joinpath("proc/stat").write_text("cpu  1 0 0 0 0 0 0 0 0 0\n")
        self.of_class = self.cgroups / "kubepods/besteffort"
        self.of_class.joinpath("cpuset.cpus").write_text("0-3\n")
        self.start()
        self.birth(0, "BE", QUOTA_US)

    def judged(self) -> Found:
        shape = question(self.running.daemon.config.state_dir, "explain", pod="shop/p0")
        return judge(Expected(BE, {CPU_QUOTA: QUOTA_US}, 0, ""), shape, 2, NO_CPUS)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    it = Node(tmp_path)
    yield it
    it.close()


def test_a_quota_that_suppress_has_lifted_is_as_expected(node: Node) -> None:
    assert node.judged().problems == ()
    node.set_policy(SUPPRESS % "cfsQuota")
    eventually(lambda: node.of_class.joinpath("cpu.max").read_text().startswith("200000 "), "the class to be bounded")
    found = eventually(lambda: (one := node.judged()).values.get(CPU_QUOTA) == -1 and one, "the quota to be lifted")
    assert found.problems == ()
    assert "CPU suppress" in found.notes[0]


def test_cpus_that_suppress_has_taken_are_as_expected(node: Node) -> None:
    node.set_policy(SUPPRESS % "cpuset")
    eventually(
        lambda: node.of_class.joinpath("cpuset.cpus").read_text() in ("0-1\n", "2-3\n", "0-1", "2-3"), "two CPUs"
    )
    # The kernel then narrows what is below.
    two = node.of_class.joinpath("cpuset.cpus").read_text()
    for directory in (node.of_class, *node.of_class.rglob("*/")):
        directory.joinpath("cpuset.cpus.effective").write_text(two)
    assert node.judged().problems == ()
