"""Sources of the policy: which one is in force while files come, change and go."""

from __future__ import annotations

import json

from tests.daemon.running import BAD, BETTER, GOOD, MISTAKE, PINNED, create, rewrite, run_pod
from tests.support.waiting import eventually


def test_a_bad_policy_at_start_costs_readiness_only_and_is_taken_as_soon_as_it_is_good(start, runtime, policy):
    policy.write_text(BAD)
    running = start(policy_file=policy)
    text = running.wait_not_ready("policy:", MISTAKE)
    assert "revision" in text
    runtime.wait_for_plugin()
    run_pod(runtime, PINNED)
    assert create(runtime).cpus == "2-3", "it runs on the defaults"
    rewrite(policy, GOOD)
    running.wait_ready()
    assert running.daemon.parts.handler.snapshot.policy.qos.be.memory.min_limit_percent == 20
    assert running.daemon.parts.standing.refusals == 1


def test_a_bad_policy_later_leaves_the_last_good_one_in_force(start, runtime, policy):
    running = start(policy_file=policy)
    running.wait_ready()
    before = running.daemon.parts.handler.snapshot
    rewrite(policy, BAD)
    running.wait_warned("policy:", MISTAKE, f"revision {before.policy.revision} stays in force")
    assert running.daemon.parts.handler.snapshot.policy == before.policy
    assert running.wait_logged("policy_refused")["mistakes"][0].startswith(MISTAKE)
    rewrite(policy, BETTER)
    running.wait_ready()
    after = running.daemon.parts.handler.snapshot.policy
    assert after.qos.be.memory.min_limit_percent == 30
    assert after.revision != before.policy.revision
    assert running.wait_logged("policy_accepted", 2)["revision"] == after.revision


def test_a_policy_file_that_is_not_there_yet_is_a_bad_one(start, runtime, policy):
    policy.unlink()
    running = start(policy_file=policy)
    running.wait_not_ready("policy:", str(policy), "No such file")
    policy.write_text(GOOD)
    running.wait_ready()


def test_a_policy_file_that_goes_leaves_the_last_good_one_in_force(start, runtime, policy):
    running = start(policy_file=policy)
    running.wait_ready()
    policy.unlink()
    running.wait_warned("policy:", "No such file")
    assert running.daemon.parts.handler.snapshot.policy.qos.be.memory.min_limit_percent == 20


def test_a_mounted_configmap_is_followed_through_its_links(start, runtime, tmp_path):
    """kubelet swaps the link ..data; the visible names never change."""
    mount = tmp_path / "mount"

    def publish(generation: str, percent: int) -> None:
        directory = mount / generation
        directory.mkdir(parents=True)
        strategy = {"clusterStrategy": {"beClass": {"memoryQOS": {"minLimitPercent": percent}}}}
        (directory / "resource-qos-config").write_text(json.dumps(strategy))
        (mount / "..new").symlink_to(generation)
        (mount / "..new").replace(mount / "..data")

    publish("..2026_01", 20)
    (mount / "resource-qos-config").symlink_to("..data/resource-qos-config")
    running = start(policy_file=mount)
    running.wait_ready()

    def in_force() -> int | None:
        return running.daemon.parts.handler.snapshot.policy.qos.be.memory.min_limit_percent

    assert in_force() == 20
    publish("..2026_02", 30)
    eventually(lambda: in_force() == 30, "the new policy")


def test_a_file_that_is_edited_in_place_in_a_directory_is_noticed(start, runtime, tmp_path):
    directory = tmp_path / "policy"
    directory.mkdir()
    config = directory / "koordnri-config"
    config.write_text("chainBudgetMilliseconds: 100")
    running = start(policy_file=directory)
    running.wait_ready()
    config.write_text("chainBudgetMilliseconds: 1000")
    eventually(lambda: running.daemon.parts.handler.snapshot.policy.chain_budget_s == 1.0, "the new policy")


def test_a_bug_in_the_watch_of_the_policy_file_is_counted_and_the_file_is_polled(start, runtime, policy):
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    running = start(policy_file=policy)
    running.wait_ready()
    parts = running.daemon.parts
    parts.sources._watch._changed = broken
    rewrite(policy, BETTER)
    eventually(lambda: parts.faults.counts["policy"] == 1, "the bug")
    running.wait_logged("policy_accepted", 2)
    eventually(lambda: parts.sources.must_be_asked, "it to be polled")
    rewrite(policy, GOOD)
    running.wait_logged("policy_accepted", 3)
