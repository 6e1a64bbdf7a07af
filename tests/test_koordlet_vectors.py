"""Rows of Koordinator's own vectors (koordinator.md 11) that are about more than one hook's fields. The others stand, as `v<row>` in
their names, in the tests of the hook or of the function that they are about.
"""

from __future__ import annotations

import pytest

from koordnri.host.cgroup.change import Change, Status, by_level
from koordnri.host.cgroup.writer import Writer
from koordnri.model import fields
from koordnri.model.node_annotations import NORMALIZATION_RATIO_KEY, read_node_annotations
from koordnri.policy import load_policy, resolve
from tests.host.fake_kernel import ROOT, FakeKernel
from tests.resctrl.resctrl_node import ResctrlNode, classes

POD = "kubepods/pod1"
THRESHOLDS = """
resource-threshold-config:
  clusterStrategy: {enable: true, cpuSuppressThresholdPercent: 60}
  nodeStrategies:
  - name: small
    nodeSelector: {matchLabels: {size: small}}
    cpuSuppressThresholdPercent: 50
"""


@pytest.mark.parametrize("ratio", ["0", "abc"])
def test_v15_a_ratio_that_is_none_is_a_problem_and_normalises_nothing(ratio: str) -> None:
    read = read_node_annotations({NORMALIZATION_RATIO_KEY: ratio})
    assert read.normalization_ratio is None
    [problem] = read.problems
    assert NORMALIZATION_RATIO_KEY in problem


def test_v38_only_threads_that_are_not_in_the_group_are_written_one_by_one() -> None:
    node = ResctrlNode()
    node.set_policy(**classes(ls={}))
    node.pod("p", "LS", threads=3)
    first, second, third = sorted(node.kernel.threads)
    node.groups.reconcile(node.pods.values(), node.policy, node.node)
    node.kernel.threads[first].group = "LS"
    node.kernel.log.clear()
    node.run_pass()
    assert node.kernel.log == [("tasks", "LS", second), ("tasks", "LS", third)]


@pytest.mark.parametrize(
    ("before", "wanted", "when"),
    [pytest.param(10_000, -1, "before", id="v67"), pytest.param(-1, 10_000, "after", id="v68")],
)
@pytest.mark.parametrize("version", [1, 2])
def test_v67_v68_a_pods_quota_is_lifted_before_its_containers_grow_and_lowered_after_they_shrank(
    version: int, before: int, wanted: int, when: str
) -> None:
    container = f"{POD}/c1"
    kernel = FakeKernel(version, ("kubepods", POD, container))
    for path in (POD, container):
        kernel.cgroups[path].quota = before if before > 0 else None
    changes = [Change(path, fields.CPU_QUOTA, "", wanted) for path in (container, POD)]
    outcomes = Writer(ROOT, version, kernel).apply(by_level(changes))
    assert {o.status for o in outcomes} == {Status.WRITTEN}
    assert {o.after for o in outcomes} == {wanted}
    order = [path.rpartition("/")[0] for path, _ in kernel.log]
    assert order == ([POD, container] if when == "before" else [container, POD])
    assert kernel.violations == []


def test_v72_of_a_node_strategy_only_what_it_says_goes_over_the_clusters() -> None:
    document = load_policy(THRESHOLDS, "test")
    threshold = resolve(document, "n", {"size": "small"}).threshold
    assert (threshold.enable, threshold.cpu_suppress_threshold_percent, threshold.cpu_suppress_policy) == (
        True,
        50,
        "cpuset",
    )
    assert threshold.memory_evict_threshold_percent == 70
    assert resolve(document, "n", {}).threshold.cpu_suppress_threshold_percent == 60


def test_v74_shares_are_written_as_weight_on_v2() -> None:
    kernel = FakeKernel(2, ("kubepods", POD))
    kernel.cgroups[
        POD
    ].weight = 7  # the 100 that is there at first is what newer runtimes make of 1024, and would be left
    [outcome] = Writer(ROOT, 2, kernel).apply([[Change(POD, fields.CPU_SHARES, "", 1024)]])
    assert outcome.status is Status.WRITTEN
    assert kernel.log == [(f"{POD}/cpu.weight", "39")]
