"""The survey of CPUs is computed again when something has changed that it depends on, and only then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from koordnri.answers.cpu_survey import CPUSurveys
from koordnri.cpus.holding import Holding
from koordnri.daemon.config import Config
from koordnri.daemon.wiring import Given, Parts
from koordnri.model import CPUSet, Decision, NodeState, Resources
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.topology import Topology
from koordnri.state.entry import Entry
from tests.support.pods import pod

NODE = NodeState(name="n", topology=Topology.regular(1, 1, 4, 2))
ASSIGNED = {RESOURCE_STATUS.key: '{"cpuset": "0,4"}'}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Those of a daemon that does not run; the pod `owner` has CPUs 0 and 4, and `shares` one container on 1-3."""
    log = (tmp_path / "log").open("wb")
    it = Parts(Config(state_dir=tmp_path / "state", listen=None), Given(NODE), log.fileno())
    it.ledger.remember_pod(pod("LSR", annotations=ASSIGNED, name="owner"))
    it.ledger.remember_pod(pod(name="shares"))
    for name in ("owner", "shares"):
        it.ledger.remember(Entry(name, "main", name, Resources()), Decision({}, {}, []))
        it.ledger.started(it.ledger.entries()[-1])
    it.ledger.verified("shares", "cpu.cpus", "1-3")
    yield it
    it.writer.close()
    log.close()


@pytest.fixture
def surveys(parts: Parts) -> CPUSurveys:
    return CPUSurveys(parts.ledger, parts.present)


def test_it_has_owners_and_violations(parts: Parts, surveys: CPUSurveys) -> None:
    found = surveys.now()
    assert [(owner.pod, owner.cpus) for owner in found.owners] == [("shop/owner", CPUSet([0, 4]))]
    assert found.violations == []
    parts.ledger.verified("shares", "cpu.cpus", "0-3")
    assert [one.kind for one in surveys.now().violations] == ["NotClear"]


def test_while_nothing_changes_it_is_not_computed_again(parts: Parts, surveys: CPUSurveys) -> None:
    first = surveys.now()
    parts.ledger.verified("shares", "cpu.cpus", "1-3")
    assert surveys.now() is first


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts.ledger.forget_pod("owner"),
        lambda parts: parts.ledger.missed("shares", "cpu.cpus"),
        lambda parts: parts.ledger.verified("shares", "cpu.cpus", "1"),
        lambda parts: parts.present.let_go(frozenset({"*"})),
        lambda parts: parts.allocator.restore({"uid-shares": {"main": Holding(CPUSet([2]))}}),
        lambda parts: parts.present.kubelet._put({("uid-shares", "main"): CPUSet([1])}),
    ],
    ids=["a pod goes", "a file is lost", "a file reads otherwise", "a snapshot", "a holding", "a pin of kubelet"],
)
def test_a_change_is_computed(parts: Parts, surveys: CPUSurveys, change: Callable[[Parts], None]) -> None:
    first = surveys.now()
    change(parts)
    assert surveys.now() is not first
