"""What is different between two policies of a node."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from koordnri.policy import DEFAULT_POLICY, Policy
from koordnri.policy.difference import _WHOLE, SECTIONS, PolicyChange, policy_changes
from tests.support.policies import policy_of

UNCOMPARED = {"injections", "revision", "source", "strategies", "notes"}


def of_own_key(**options: Any) -> Policy:
    return policy_of(koordnri_config={"trust": {}, **options})


def changes(**options: Any) -> list[PolicyChange]:
    return policy_changes(DEFAULT_POLICY, of_own_key(**options))


def test_equal_policies_have_no_changes() -> None:
    assert policy_changes(DEFAULT_POLICY, of_own_key()) == []


def test_each_key_is_named_with_its_path_its_old_and_its_new_value() -> None:
    def policy(**memory: Any) -> Policy:
        strategy = {"lsClass": {"memoryQOS": {"enable": True, **memory}}}
        return policy_of(resource_qos_config={"clusterStrategy": strategy})

    path = "resource-qos-config.lsClass.memoryQOS"
    assert policy_changes(policy(lowLimitPercent=40), policy(minLimitPercent=30)) == [
        PolicyChange(f"{path}.lowLimitPercent", "40", "0"),
        PolicyChange(f"{path}.minLimitPercent", "0", "30"),
    ]


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"reservedCPUs": "0-1"}, ("reservedCPUs", "null", '"0-1"')),
        ({"namespacesLeftAlone": ["b", "a"]}, ("namespacesLeftAlone", "[]", '["a", "b"]')),
        ({"recordRoute": "none"}, ("recordRoute", "null", '"none"')),
        ({"publishTopology": "zones"}, ("publishTopology", '"none"', '"zones"')),
        ({"chainBudgetMilliseconds": 300}, ("chainBudgetMilliseconds", "null", "300")),
        ({"hooks": {"cpuset": {"mode": "off"}}}, ("hooks.cpuset.mode", '"enforce"', '"off"')),
        ({"hooks": {"cfs_quota": {"failurePolicy": "fail"}}}, ("hooks.cfs_quota.failurePolicy", '"ignore"', '"fail"')),
        ({"trust": {"mode": "observe"}}, ("trust.mode", '"enforce"', '"observe"')),
    ],
)
def test_our_own_keys(options: dict[str, Any], change: tuple[str, str, str]) -> None:
    path, old, new = change
    assert changes(**options) == [PolicyChange(f"koordnri-config.{path}", old, new)]


def test_options_of_another_hook_are_compared_too() -> None:
    before, after = (of_own_key(hooks={"com.example.mine": {"options": {"level": n}}}) for n in (1, 2))
    assert policy_changes(before, after) == [
        PolicyChange("koordnri-config.hooks.com.example.mine.options", '{"level": 1}', '{"level": 2}')
    ]


def test_a_long_value_is_cut() -> None:
    (change,) = changes(namespacesLeftAlone=[f"namespace-{n}" for n in range(100)])
    assert len(change.new) == 201
    assert change.new.endswith("…")


def test_every_attribute_of_a_policy_is_compared_or_named_here() -> None:
    """A new one must not be forgotten."""
    known = {*SECTIONS, *_WHOLE, "chain_budget_s", "hooks"}
    assert {field.name for field in msgspec.structs.fields(Policy)} - known == UNCOMPARED
