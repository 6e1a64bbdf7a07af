"""Synchronize: what already runs, decided by today's policy."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.model import Resources, fields
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.resources import Note
from tests.session.one_node import ALL_OFF, BELIEVING, FAST, PINNED, PINS, Node, hook, kubelet, one_hook
from tests.support.policies import policy_of


def test_synchronize_changes_what_differs_and_only_that():
    node = Node()
    node.preexisting(node.pod("p1", PINNED), "pinned")
    node.preexisting(node.pod("p2"), "plain")
    assert node.synchronize() == {"pinned": kubelet(cpus="2-3", quota=-1, period=100_000)}
    assert node.ledger.counts() == (2, 2)
    kept = {"pinned": Note(Resources(512, 50_000, 100_000), PINS)}
    assert node.ledger.notes() == kept, "the only one that we must remember"
    assert node.synchronize() == {}
    assert node.ledger.notes() == kept
    assert {reported[0] for reported in node.observed.reported} == {"sync"}


def test_a_restart_with_the_same_policy_changes_nothing():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    node.update(quota=80_000)
    again = node.restarted(notes=node.ledger.notes())
    assert again.synchronize() == {}
    assert again.saved == 0
    assert again.ledger.notes() == {"c1": Note(Resources(512, 80_000, 100_000), PINS)}, (
        "its annotation still has the old one"
    )


def test_a_container_that_we_adjusted_is_corrected_when_the_policy_is_another():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    keep = policy_of(koordnri_config={"hooks": {"cpuset": {"keepQuota": True}}})
    assert node.restarted(keep).synchronize() == {"c1": kubelet(quota=50_000)}


def test_a_feature_that_is_off_is_restored_at_synchronize():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    assert node.restarted(ALL_OFF).synchronize() == {"c1": kubelet(cpus="0-7", quota=50_000)}
    assert node.restarted(ALL_OFF).synchronize() == {}


def test_containers_of_unknown_pods_are_left_alone_and_kept_in_mind():
    node = Node(notes={"orphan": Note(Resources(cpu_quota=7))})
    node.preexisting("nobody", "orphan")
    assert node.synchronize() == {}
    assert node.ledger.container("orphan") is None
    assert node.ledger.notes() == {"orphan": Note(Resources(cpu_quota=7))}, "its pod may be reported later"


def test_what_is_gone_at_synchronize_is_forgotten():
    node = Node()
    node.create(node.pod("p1", PINNED), "c1")
    node.update("c1", quota=80_000)
    del node.pods["p1"], node.containers["c1"]
    node.synchronize()
    assert node.ledger.counts() == (0, 0)
    assert node.ledger.notes() == {}


def test_one_bad_container_does_not_cost_the_others_their_updates():
    def decide(ctx: Any) -> None:
        ctx.set(fields.CPU_QUOTA, "text" if ctx.pod.id == "p1" else 7000, "because")

    node = Node(hooks=one_hook(decide))
    node.preexisting(node.pod("p1"), "bad")
    node.preexisting(node.pod("p2"), "good")
    assert node.synchronize() == {"good": kubelet(quota=7000)}


def test_after_the_budget_the_rest_of_a_synchronize_is_left_as_it_is():
    now = [0]

    def decide(ctx: Any) -> None:
        now[0] += 400_000_000
        ctx.set(fields.CPU_QUOTA, 7000, "because")

    node = Node(hooks=one_hook(decide), clock=lambda: now[0])
    for i in range(3):
        node.preexisting(node.pod(f"p{i}"), f"c{i}")
    assert set(node.synchronize()) == {"c0", "c1"}, "a budget of 500 ms for all of them together"
    assert node.containers["c2"].linux.resources.cpu.quota.value == 50_000
    assert node.ledger.counts() == (3, 3)


def test_a_resize_while_we_were_away_stays_as_kubelet_asked_for_it():
    node = Node()
    node.create(node.pod())
    node.behind_our_back(quota=80_000, shares=819)
    node = node.restarted()
    assert node.synchronize() == {}
    assert node.ledger.notes() == {"c1": Note(Resources(819, 80_000, 100_000))}
    assert node.saved == 1
    entry = node.ledger.container("c1")
    assert entry is not None
    assert entry.baseline.cpu_quota == 80_000, "what the reconciler starts from, too"
    assert node.update(memory=1 << 30) is None
    again = node.restarted(notes=node.ledger.notes())
    assert again.synchronize() == {}


def test_exclusive_cpus_given_while_we_were_away_stay():
    """The static CPU manager: all CPUs of the node would put the container on top of others' exclusive ones."""
    node = Node()
    node.create(node.pod())
    node.behind_our_back(cpus="2-7")
    node = node.restarted()
    assert node.synchronize() == {}
    assert node.update(memory=1 << 30) is None
    assert node.containers["c1"].linux.resources.cpu.cpus == "2-7"


def test_what_another_plugin_set_is_not_ours_to_undo():
    node = Node(policy_of(koordnri_config={"hooks": {"cpuset": {"mode": "off"}}}))
    node.create(node.pod(annotations=PINNED))
    node.behind_our_back(cpus="4-5")
    assert node.update(memory=1 << 30) is None
    assert node.synchronize() == {}
    node.behind_our_back(cpus="6")
    assert node.update(memory=1 << 29) is None
    assert node.restarted(ALL_OFF, node.ledger.notes()).synchronize() == {}
    assert node.containers["c1"].linux.resources.cpu.cpus == "6"


def test_a_resize_while_we_were_away_is_scaled_once():
    node = Node(node=FAST)
    node.create(node.pod(qos="LS"), quota=100_000)
    node.behind_our_back(quota=160_000)
    for changed in ({"c1": kubelet(quota=80_000)}, {}, {}):
        node = node.restarted(notes=node.ledger.notes(), node=FAST)
        assert node.synchronize() == changed
    assert node.update(memory=1 << 30) == kubelet(quota=80_000)
    off = node.restarted(ALL_OFF, node.ledger.notes())
    assert off.synchronize() == {"c1": kubelet(quota=160_000)}, "back to the newest request"


def test_a_field_that_is_not_ours_stays_beside_one_that_goes_back():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    node.behind_our_back(cpus="4-7")
    assert node.restarted(ALL_OFF).synchronize() == {"c1": kubelet(quota=50_000)}


@pytest.mark.parametrize("sent_by", ["update", "synchronize"])
def test_what_a_reply_set_after_the_creation_is_known_after_a_restart(sent_by):
    node = Node()
    node.create(node.pod(qos="LS"), quota=100_000)
    node.adopt(BELIEVING, FAST)
    if sent_by == "update":
        assert node.update(memory=1 << 30) == kubelet(quota=50_000)
    else:
        assert node.synchronize() == {"c1": kubelet(quota=50_000)}
    same = node.restarted(notes=node.ledger.notes(), node=FAST)
    assert same.synchronize() == {}, "its own half is not taken for a new request"
    off = node.restarted(ALL_OFF, node.ledger.notes())
    assert off.synchronize() == {"c1": kubelet(quota=100_000)}
    assert off.synchronize() == {}


def test_what_was_set_at_the_creation_is_known_though_another_value_was_sent_since():
    """The runtime may have refused the later one."""
    node = Node()
    node.create(node.pod(annotations=PINNED))
    node.pod(annotations={RESOURCE_STATUS.key: '{"cpuset": "4"}'})
    assert node.update(apply=False, memory=1 << 30) == kubelet(cpus="4", quota=-1, period=100_000)
    off = node.restarted(ALL_OFF, node.ledger.notes())
    assert off.synchronize() == {"c1": kubelet(cpus="0-7", quota=50_000)}


@pytest.mark.parametrize("reported", [True, False], ids=["outcome known", "died meanwhile"])
def test_what_went_by_an_update_of_our_own_is_ours_too(reported):
    node = Node(ALL_OFF)
    node.create(node.pod())
    node.ledger.sending("c1", {"cpu.quota": 25_000})
    if reported:
        node.ledger.recorded("c1", {"cpu.quota": 25_000})
    node.behind_our_back(quota=25_000)
    assert node.synchronize() == {"c1": kubelet(quota=50_000)}


def test_what_a_late_hook_had_set_is_still_known_after_a_restart():
    now, hold, quota_us = [0], [0], [-1]
    slow = hook("slow", 1, (fields.MEMORY_LIMIT,), lambda ctx: now.__setitem__(0, now[0] + hold[0]))
    quota = hook("quota", 2, (fields.CPU_QUOTA,), lambda ctx: ctx.set(fields.CPU_QUOTA, quota_us[0], "always"))
    node = Node(hooks=[slow, quota], clock=lambda: now[0])
    node.create(node.pod())
    quota_us[0] = 7000
    assert node.update(memory=1 << 29) == kubelet(quota=7000)
    hold[0] = 10**9
    assert node.update(memory=1 << 30) is None, "too late for the hook that owns the quota"
    assert node.restarted(ALL_OFF, node.ledger.notes()).synchronize() == {"c1": kubelet(quota=50_000)}


def test_the_files_of_a_resize_that_nobody_reported_are_given_back():
    """While the runtime was away koordnri may have healed them, or given them the former baseline back: nothing else writes them again."""
    node = Node()
    node.create(node.pod())
    node.behind_our_back(quota=130_000)
    node.synchronize()
    assert node.ledger.container("c1").baseline.cpu_quota == 130_000
    assert node.ledger.originals("c1") == {"cpu.quota": 130_000}


def test_without_a_resize_there_is_nothing_to_give_back():
    node = Node()
    node.create(node.pod())
    node.synchronize()
    assert node.ledger.originals("c1") == {}
