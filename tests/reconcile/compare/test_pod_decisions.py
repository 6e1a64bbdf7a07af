"""A pod under one policy: hooks that fail, refuse, or are only observed."""

from __future__ import annotations

import pytest

from tests.reconcile.compare.one_comparison import compared, moves, third


def test_a_hook_that_fails_changes_nothing_and_is_reported():
    found = compared(third({"cpu.quota": 70_000, "env[A]": "1"}), third("fail", "fail"), cpu_quota=50_000)
    assert found.differences == []
    assert [(r.container, r.hook, r.message) for r in found.remarks] == [
        ("", "third", "RuntimeError: no idea"),
        ("main", "third", "RuntimeError: no idea"),
    ]


def test_what_a_failing_hook_left_is_not_known_and_what_comes_after_it_is():
    found = compared(third("fail"), third({"cpu.quota": 50_000}), cpu_quota=50_000)
    assert moves(found, "write") == {("p", "main", "cpu.quota"): (None, 50_000)}
    (remark,) = found.remarks
    assert remark.message == "under the old policy: RuntimeError: no idea; what it left there is not known"


def test_a_container_that_would_not_come_back_is_reported():
    found = compared(third(), third("fail", failurePolicy="fail"))
    (refused,) = (r for r in found.remarks if not r.hook)
    assert refused.container == "main"
    assert refused.message.startswith("could not be created again: koordnri: hook third could not decide: ")


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("off", "back to the baseline: switched off by the policy (koordnri-config.hooks.third.mode)"),
        ("observe", "back to the baseline: hook third is only observed"),
    ],
)
def test_a_hook_that_may_not_any_more_gives_its_fields_back_and_says_why(mode, reason):
    reported = {"cpu.quota": 70_000}
    found = compared(third(reported), third(reported, mode=mode), cpu_quota=50_000)
    assert [(d.before, d.after, d.reason) for d in found.differences] == [(70_000, 50_000, reason)]


def test_a_hook_that_is_only_observed_changes_nothing():
    found = compared(third(), third({"cpu.quota": 70_000, "env[A]": "1"}, {"cpu.quota": 1}, mode="observe"))
    assert (found.differences, found.remarks) == ([], [])
