"""memory.high while the memory staircase wants a ceiling: it goes down with what is in use, quietly, and comes back."""

from __future__ import annotations

from dataclasses import replace

from koordnri.host.cgroup.change import Status
from koordnri.model.control import NO_CONTROL, Control, Wanted
from tests.host.fake_kernel import NO_LIMIT
from tests.reconcile.fake_node import MIB, FakeNode, statuses


def job(usage: int) -> tuple[FakeNode, str]:
    """A node with one best-effort container that uses so many bytes. Returns the container's cgroup, too."""
    node = FakeNode()
    main = node.container(node.pod("job", "BE", "BestEffort"))
    node.kernel.cgroups[main].usage = usage
    node.run_pass()
    return node, main


def want(node: FakeNode, high: int | None) -> None:
    control = NO_CONTROL if high is None else Control(memory_high_bytes={"job-main": Wanted(high, "short")})
    node.state = replace(node.state, control=control)


def test_the_ceiling_is_written_and_taken_back() -> None:
    node, main = job(100 * MIB)
    want(node, 128 * MIB)
    node.run_pass()
    assert node.kernel.cgroups[main].high == 128 * MIB
    want(node, None)
    node.run_pass()
    assert node.kernel.cgroups[main].high == NO_LIMIT
    assert node.ledger.all_originals() == {}


def test_a_ceiling_below_what_is_in_use_follows_it_down_without_a_warning() -> None:
    node, main = job(128 * MIB)
    want(node, 96 * MIB)
    assert Status.REFUSED in statuses(node.run_pass())
    assert node.kernel.cgroups[main].high == 132 * MIB
    node.kernel.cgroups[main].usage = 64 * MIB
    node.run_pass("sweep")
    assert node.kernel.cgroups[main].high == 96 * MIB
    assert node.warnings() == []
    want(node, None)
    node.run_pass()
    assert node.kernel.cgroups[main].high == NO_LIMIT


def test_from_halfway_it_is_taken_back_even_after_a_crash() -> None:
    node, main = job(128 * MIB)
    want(node, 96 * MIB)
    node.run_pass()
    want(node, None)
    after = node.restarted()
    after.run_pass()
    assert after.kernel.cgroups[main].high == NO_LIMIT
    assert after.ledger.all_originals() == {}
