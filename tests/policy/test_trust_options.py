"""The policy's `trust`: what is accepted, and which limits hold."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.policy import PolicyError
from koordnri.policy.trust_options import NO_LIMITS, ExclusiveTrust, TrustOptions
from tests.support.policies import policy_of


def rules(**trust: Any) -> TrustOptions:
    return policy_of(koordnri_config={"clusterStrategy": {"trust": trust}}).trust


def test_a_list_replaces_the_default_and_the_rest_stays():
    found = rules(resourceStatus={"schedulers": ["mine"]}, exclusiveCPUs={"maxPerNamespace": 4})
    assert (found.resource_status.schedulers, found.mode, found.without_spec) == (("mine",), "enforce", "refuse")
    assert found.exclusive_cpus == ExclusiveTrust(max_per_namespace=4)


@pytest.mark.parametrize(
    ("trust", "message"),
    [
        ({"resourceStatus": {"serviceAccounts": ["runner"]}}, "expected a service account as NAMESPACE/NAME"),
        ({"resourceStatus": {"namespaces": ["Shop"]}}, "expected the name of a namespace"),
        ({"exclusiveCPUs": {"maxExclusive": -1}}, "expected at least 0"),
        ({"withoutSpec": "perhaps"}, "expected refuse or believe"),
        ({"resourceStatuses": {}}, "did you mean resourceStatus"),
    ],
)
def test_a_mistake_is_named(trust: Any, message: str):
    with pytest.raises(PolicyError, match=message):
        rules(**trust)


def test_limits_hold_only_where_the_rules_are_enforced():
    limits = ExclusiveTrust(max_exclusive=1)
    assert TrustOptions(exclusive_cpus=limits).limits_of_cpus is limits
    assert TrustOptions(exclusive_cpus=limits).observed_limits == NO_LIMITS
    assert TrustOptions(mode="observe", exclusive_cpus=limits).observed_limits is limits
    for mode in ("observe", "off"):
        assert TrustOptions(mode=mode, exclusive_cpus=limits).limits_of_cpus == NO_LIMITS
