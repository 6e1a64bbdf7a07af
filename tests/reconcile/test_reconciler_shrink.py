"""A memory limit that is to become less than what is in use: it waits, also with the runtime, or is forced by the policy."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.model import fields
from koordnri.reconcile.plan import Update
from koordnri.reconcile.recorder import REST_S, Recorder
from tests.host.fake_kernel import NO_LIMIT
from tests.reconcile.fake_node import MIB, FakeNode, batch_of, statuses

THROTTLED = {
    "resource_qos_config": {"clusterStrategy": {"lsClass": {"memoryQOS": {"enable": True, "throttlingPercent": 20}}}}
}


def test_memory_high_follows_what_is_in_use_downwards_and_is_taken_back_from_halfway() -> None:
    node = FakeNode()
    main = node.container(
        node.pod("web", "LS", requests={"main": "10Mi"}, memory_limit=200 * MIB), memory_limit=200 * MIB
    )
    cgroup = node.kernel.cgroups[main]
    cgroup.usage = 128 * MIB
    node.set_policy(**THROTTLED)
    assert Status.REFUSED in statuses(node.run_pass())
    assert cgroup.high == 132 * MIB
    [warning] = node.warnings()
    assert "memory.high not set to" in warning["error"]
    cgroup.usage = 64 * MIB
    node.run_pass("sweep")
    assert cgroup.high == 66 * MIB

    node.set_policy()
    node.run_pass()
    assert cgroup.high == NO_LIMIT
    assert node.kernel.violations == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_batch_limit_waits_until_less_is_in_use_unless_the_policy_says_otherwise(version: int) -> None:
    node = FakeNode(version)
    main = node.container(node.pod("job", "BE", "BestEffort"))
    cgroup = node.kernel.cgroups[main]
    cgroup.usage = 128 * MIB
    node.report_again(node.ledger.pods()[0], batch_of(main=(500, 64)))
    node.run_pass()
    node.run_pass("sweep")
    assert cgroup.limit == NO_LIMIT
    assert node.kernel.violations == []

    node.set_policy(koordnri_config={"clusterStrategy": {"hooks": {"memory": {"shrinkBelowUsage": True}}}})
    node.run_pass()
    if version == 2:
        assert cgroup.limit == 64 * MIB
        assert node.kernel.violations == [f"{main}: processes killed"]
    else:  # v1 does not kill for it
        assert cgroup.limit == NO_LIMIT
        cgroup.usage = 0
        node.run_pass("sweep")
        assert cgroup.limit == 64 * MIB


@pytest.mark.parametrize("version", [1, 2])
def test_what_waits_is_not_recorded_since_the_runtime_would_write_it(version: int) -> None:
    now = [0.0]
    pushed: list[dict[str, int | str]] = []

    def push(updates: Sequence[Update], deadline_s: float) -> set[str]:
        pushed.extend(u.values for u in updates)
        return set()

    def recorder_of(node: FakeNode) -> Recorder:
        return Recorder(
            node.ledger,
            {"unsolicited": push},
            lambda: "unsolicited",
            lambda: None,
            lambda route, why: None,
            node.log,
            monotonic=lambda: now[0],
        )

    node = FakeNode(version, recorder=recorder_of, monotonic=lambda: now[0])

    def rest() -> None:
        node.run_pass()
        now[0] += REST_S
        node.recorder.step()

    cgroup = node.kernel.cgroups[node.container(node.pod("job", "BE", "BestEffort"))]
    cgroup.usage = 128 * MIB
    node.report_again(node.ledger.pods()[0], batch_of(main=(500, 64)))
    rest()
    assert pushed == [{fields.CPU_QUOTA.name: 50_000}]
    cgroup.usage = 0
    rest()
    assert pushed[1:] == [{fields.MEMORY_LIMIT.name: 64 * MIB}]
    assert node.recorder.unrecorded == 0
