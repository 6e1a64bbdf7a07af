"""Files that do not take their value: logged at once, tried again, then reported."""

from __future__ import annotations

import errno
import os

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.reconcile.failures import RETRIES_S
from tests.reconcile.fake_node import HALVED, MIB, FakeNode, batch_of, statuses
from tests.reconcile.fake_node import quotas_of as quotas

BOTH = pytest.mark.parametrize("version", [1, 2])


def test_a_refusal_is_reported_once_tried_again_at_every_pass_and_counted():
    node = FakeNode()
    directory = node.container(node.pod("p"), cpu_quota=80_000)
    tried: list[str] = []

    def refuse(path: str, text: str) -> None:
        tried.append(text)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    node.kernel.before_write = refuse
    node.set_policy(**HALVED)
    for _ in range(3):
        assert statuses(node.run_pass("sweep")) == {Status.REFUSED}
    assert tried == ["40000 100000"] * 3
    assert node.reconciler.stats.writes == {("cpu.quota", "refused"): 3}
    [warning] = node.warnings()
    assert (warning["directory"], warning["field"], warning["of"]) == (directory, "cpu.quota", "main")
    assert "cpu.max: the kernel refuses '40000 100000': Invalid argument (EINVAL)" in warning["error"]
    assert node.ledger.all_originals() == {}, "nothing is there to be taken back"

    node.kernel.before_write = lambda path, text: None
    node.run_pass("sweep")
    assert quotas(node) == {"p-main": 40_000}
    assert not node.reconciler.undone.counts, "it was late, not lost"
    node.set_policy()
    node.run_pass()
    assert quotas(node) == {"p-main": 80_000}


def test_what_is_refused_even_after_retries_is_listed_until_it_is_mended_or_gone():
    node = FakeNode()
    pods = [node.pod("p"), node.pod("q")]
    for pod in pods:
        node.container(pod, cpu_quota=80_000)
    node.kernel.before_write = lambda path, text: (_ for _ in ()).throw(OSError(errno.EINVAL, "invalid"))
    node.set_policy(**HALVED)
    for retried in range(len(RETRIES_S) + 1):
        assert node.reconciler.not_applied() == [], f"after {retried} retries"
        node.run_pass("sweep")
    assert {(f.owner.pod.name, f.owner.container, f.field) for f in node.reconciler.not_applied()} == {
        ("p", "main", "cpu.quota"),
        ("q", "main", "cpu.quota"),
    }
    node.ledger.forget_pod(pods[1].id)
    assert [f.owner.pod.name for f in node.reconciler.not_applied()] == ["p"]
    node.kernel.before_write = lambda path, text: None
    node.run_pass("sweep")
    assert node.reconciler.not_applied() == []


def test_another_value_that_is_refused_is_listed_only_after_its_own_retries():
    node = FakeNode()
    node.container(node.pod("p"), cpu_quota=80_000)
    node.kernel.before_write = lambda path, text: (_ for _ in ()).throw(OSError(errno.EINVAL, "invalid"))
    node.set_policy(**HALVED)
    for _ in range(len(RETRIES_S) + 1):
        node.run_pass("sweep")
    assert len(node.reconciler.not_applied()) == 1
    node.set_policy(cpu_normalization_config={"enable": True, "defaultRatio": 4.0})
    node.run_pass("sweep")
    assert node.reconciler.not_applied() == []


def test_a_refused_way_back_is_tried_until_it_is_made():
    node = FakeNode()
    node.container(node.pod("p"), cpu_quota=80_000)
    node.set_policy(**HALVED)
    node.run_pass()
    node.kernel.before_write = lambda path, text: (_ for _ in ()).throw(OSError(errno.EBUSY, "busy"))
    node.set_policy()
    node.run_pass()
    assert node.ledger.all_originals() == {"p-main": {"cpu.quota": 80_000}}
    node.kernel.before_write = lambda path, text: None
    node.run_pass("sweep")
    assert quotas(node) == {"p-main": 80_000}
    assert node.ledger.all_originals() == {}


@BOTH
def test_a_memory_limit_below_what_is_in_use_is_refused_and_reported_once_though_the_use_moves(version):
    node = FakeNode(version)
    pod = node.pod("p", "BE", "BestEffort", batch_of(main=(500, 64)))
    directory = node.container(pod)
    node.run_pass()
    node.report_again(pod, batch_of(main=(500, 32)))
    container = node.kernel.cgroups[directory]
    for usage_mib in (40, 41, 42):
        container.usage = usage_mib * MIB
        refused = [o for o in node.run_pass("sweep") if o.status is Status.REFUSED]
        assert [(o.change.directory, o.change.field.name) for o in refused if o.change.directory == directory] == [
            (directory, "memory.limit")
        ]
    assert container.limit == 64 * MIB
    reported = [w for w in node.warnings() if w["directory"] == directory]
    assert len(reported) == 1
    assert f"memory.limit not set to {32 * MIB}: {40 * MIB} bytes are in use" in reported[0]["error"]
    container.usage = MIB
    node.run_pass("sweep")
    assert container.limit == 32 * MIB
    assert node.kernel.cgroups["kubepods/besteffort/p"].limit == 32 * MIB
    assert not any("killed" in v for v in node.kernel.violations)
