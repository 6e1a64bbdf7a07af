"""How often a file is healed that somebody else keeps writing."""

from __future__ import annotations

from koordnri.reconcile.drift_pace import AT_ONCE, CALM_S, MOST, RARELY_S, SLOWLY_S
from tests.host.fake_kernel import ROOT
from tests.reconcile.fake_node import undone
from tests.reconcile.watched_node import CONTAINER, watched


def test_who_keeps_undoing_a_file_is_not_fought_without_end_and_is_reported_once():
    it = watched()
    began, healed = it.now, []
    for _ in range(20_000):  # ten minutes, every 30 ms
        it.node.kernel.cgroups[CONTAINER].quota = 10_000
        it.wrote(CONTAINER)
        it.heal(0.03)
        if it.quota(CONTAINER) == 40_000:
            healed.append(it.now - began)
    assert healed[AT_ONCE - 1] < 0.2
    rarely_s = healed[-1] - healed[MOST - 1]
    assert healed[MOST - 1] >= (MOST - AT_ONCE) * SLOWLY_S
    assert len(healed) - MOST <= rarely_s / RARELY_S
    assert undone(it.node) == {"cpu.quota": len(healed)}
    [failure] = it.failed
    assert (failure.directory, failure.field, failure.owner.container) == (CONTAINER, "cpu.quota", "main")
    assert f"undone by others (unknown: 10000) {MOST} times in a row" in failure.error
    it.now += 2 * CALM_S
    it.node.kernel.cgroups[CONTAINER].quota = 10_000
    it.wrote(CONTAINER)
    it.heal()
    assert it.quota(CONTAINER) == 40_000, "after a while of calm, at once again"


def test_a_file_that_is_healed_again_and_again_is_listed_until_it_is_calm():
    it = watched()
    drift = it.reconciler.drift
    for times in range(1, AT_ONCE + 1):
        it.node.kernel.cgroups[CONTAINER].quota = 10_000
        it.wrote(CONTAINER)
        it.heal(0.1)
        assert len(drift.returning()) == (times == AT_ONCE)
    [(found, owner)] = drift.returning()
    assert (found.file, found.times, owner) == (
        (f"{ROOT}/sys/fs/cgroup/{CONTAINER}", "cpu.max"),
        AT_ONCE,
        it.node.ledger.pods()[0].id,
    )
    it.now += 2 * CALM_S
    assert drift.returning() == []


def test_a_file_that_waits_is_healed_when_its_time_has_come_without_another_event():
    it = watched()
    for _ in range(AT_ONCE + 1):
        it.node.kernel.cgroups[CONTAINER].quota = 10_000
        it.wrote(CONTAINER)
        it.heal(0.1)
    assert it.quota(CONTAINER) == 10_000
    drift = it.reconciler.drift
    assert it.now < drift.due_at() <= it.now + SLOWLY_S
    it.now = drift.due_at()
    it.reconciler.heal()
    assert it.quota(CONTAINER) == 40_000
    assert drift.due_at() == float("inf")
