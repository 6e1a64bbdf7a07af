"""Files that show containers their exclusive CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.model import CPUSet, Decision, NodeState, Resources
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.state.entry import Entry
from koordnri.state.exposed_cpus import FILE, YOUNG_S, ExposedCPUs
from koordnri.state.ledger import Ledger
from tests.support.pods import pod


class Clock:
    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        import time

        return time.time() + self.ahead_s


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    one = pod("LSR", name="db")
    ledger.remember_pod(one)
    ledger.remember(Entry("c1", "main", one.id, Resources()), Decision())
    return ledger


def having(cpus: str) -> NodeState:
    return NodeState(exclusive_cpus={"uid-db": {"main": CPUSet.parse(cpus)}} if cpus else {})


def text(directory: Path, container: str = "c1") -> str:
    return (directory / container / FILE).read_text()


def test_a_file_is_there_before_the_container_and_follows_its_cpus(tmp_path: Path, ledger: Ledger) -> None:
    directory = tmp_path / "exposed"
    exposed = ExposedCPUs(directory, ledger)
    exposed.prepare("c1", "2-3")
    assert text(directory) == "2-3\n"
    before = (directory / "c1" / FILE).stat().st_ino
    exposed.follow(having("2-3"))
    assert (directory / "c1" / FILE).stat().st_ino == before, "nothing changed, nothing is written"
    exposed.follow(having("4-5,8"))
    assert text(directory) == "4-5,8\n"
    exposed.follow(having(""))
    assert text(directory) == "\n", "it has none any more"


def test_cpus_of_a_scheduler_count_too(tmp_path: Path, ledger: Ledger) -> None:
    one = pod("LSR", name="db", annotations={RESOURCE_STATUS.key: {"cpuset": "6-7"}})
    ledger.remember_pod(one)
    exposed = ExposedCPUs(tmp_path / "exposed", ledger)
    exposed.prepare("c1", "")
    exposed.follow(NodeState())
    assert text(tmp_path / "exposed") == "6-7\n"


def test_a_container_that_is_gone_leaves_no_file_and_one_in_the_making_keeps_its(tmp_path: Path) -> None:
    clock = Clock()
    exposed = ExposedCPUs(tmp_path / "exposed", Ledger(), clock)
    exposed.prepare("c2", "1")
    exposed.follow(NodeState())
    assert text(tmp_path / "exposed", "c2") == "1\n", "the ledger learns of a container after the reply"
    clock.ahead_s = YOUNG_S + 1
    exposed.follow(NodeState())
    assert not (tmp_path / "exposed" / "c2").exists()


def test_where_nobody_is_shown_anything_nothing_is_made(tmp_path: Path, ledger: Ledger) -> None:
    ExposedCPUs(tmp_path / "exposed", ledger).follow(having("1"))
    assert list(tmp_path.iterdir()) == []
