"""Throttled and waiting time by QoS class, from a tree of cgroup files."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.answers.class_times import EVERY_S, ClassClock
from koordnri.host.usage.files import UsageFiles
from koordnri.model import Decision, Resources
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from tests.support.pods import pod

LIMITED, UNLIMITED = Resources(1024, 100_000, 100_000), Resources(1024, -1, 100_000)
POD = "kubepods/burstable/poduid-web"


class Node:
    """A v2 node with the pod `web` of class LS, whose containers are c1 and c2."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.at_s = 0.0
        self.opened = 0
        self.ledger = Ledger()
        self.ledger.remember_pod(pod("LS"))
        for container, asked in (("c1", LIMITED), ("c2", UNLIMITED)):
            self.ledger.remember(Entry(container, container, "web", asked), Decision())
        self.clock = ClassClock(self.ledger, self._open, lambda: "containerd", lambda: True, lambda: self.at_s)

    def _open(self) -> UsageFiles:
        self.opened += 1
        return UsageFiles(self.root, 2)

    def has(self, cgroup: str, throttled_us: int, waited_us: int | None = None) -> None:
        directory = self.root / "sys/fs/cgroup" / cgroup
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "cpu.stat").write_text(f"usage_usec 1\nthrottled_usec {throttled_us}\n")
        if waited_us is not None:
            (directory / "cpu.pressure").write_text(f"some avg10=0.00 total={waited_us}\nfull avg10=0.00 total=1\n")

    def later(self) -> tuple[float, float]:
        """(throttled, waiting) s of LS, at the next moment when the files are read."""
        self.at_s += EVERY_S
        times = self.clock.now()
        return times.throttled_s["LS"], times.waiting_s.get("LS", 0.0)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_what_the_cgroups_gain_is_added_up(node: Node) -> None:
    node.has(POD, 0, waited_us=1_000_000)
    node.has(f"{POD}/c1", 2_000_000)
    assert node.later() == (2.0, 1.0)
    node.has(POD, 0, waited_us=1_500_000)
    node.has(f"{POD}/c1", 2_250_000)
    assert node.later() == (2.25, 1.5)


def test_of_pod_and_containers_the_greater_time_counts(node: Node) -> None:
    node.has(POD, 3_000_000)
    node.has(f"{POD}/c1", 2_000_000)
    assert node.later() == (3.0, 0.0)


def test_a_container_without_a_quota_is_not_read(node: Node) -> None:
    node.has(f"{POD}/c2", 9_000_000)
    assert node.later() == (0.0, 0.0)


def test_the_time_of_a_pod_that_is_gone_stays(node: Node) -> None:
    node.has(POD, 3_000_000)
    node.later()
    node.ledger.forget_pod("web")
    assert node.later() == (3.0, 0.0)


def test_a_new_cgroup_of_the_same_name_begins_at_zero(node: Node) -> None:
    node.has(POD, 3_000_000)
    node.later()
    node.has(POD, 1_000_000)
    assert node.later() == (4.0, 0.0)


def test_a_pod_that_gets_another_class_counts_for_it_from_then_on(node: Node) -> None:
    node.has(POD, 3_000_000)
    node.later()
    node.ledger.update_pod(pod("LSR"))
    node.has(POD, 4_000_000)
    node.at_s += EVERY_S
    assert node.clock.now().throttled_s == {"LS": 3.0, "LSR": 1.0}


def test_the_files_are_read_at_most_every_so_often(node: Node) -> None:
    node.later()
    for _ in range(2):
        node.at_s += EVERY_S / 4
        node.clock.now()
    assert node.opened == 1
    node.at_s += EVERY_S
    node.clock.now()
    assert node.opened == 2


def test_a_pod_without_a_usable_cgroup_counts_for_nothing(node: Node) -> None:
    node.ledger.remember_pod(pod("BE", name="odd", parent="../.."))
    assert node.later() == (0.0, 0.0)


def test_who_asks_while_another_reads_gets_the_last_reading(node: Node) -> None:
    node.has(POD, 3_000_000)
    node.later()
    last = node.clock.now()
    node.at_s += EVERY_S
    with node.clock._reading:
        assert node.clock.now() is last
