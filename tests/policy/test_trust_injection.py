"""Whose annotations may put devices, mounts and other things into containers: nobody's, unless the policy lists them."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.model import injection
from koordnri.model.pod import SOURCE_KEY
from koordnri.policy.trust import believed
from koordnri.policy.trust_options import InjectionTrust, TrustOptions
from tests.support.pods import pod
from tests.support.policies import policy_of

NEW, OLD = injection.DEVICES.keys
MOUNTS = injection.MOUNTS.keys[0]
SHOP = {"devices": {"namespaces": ["shop"]}}
OTHERS = {"devices": {"namespaces": ["others"]}}


def rules(mode: str = "enforce", **kinds: Any) -> TrustOptions:
    return policy_of(koordnri_config={"trust": {"mode": mode, "injection": kinds}}).trust


def test_each_kind_has_a_rule_of_its_name() -> None:
    kinds = {kind.name: {"namespaces": ["shop"]} for kind in injection.ALL}
    assert set(rules(**kinds).injection.listed()) == set(kinds)
    assert InjectionTrust().listed() == {}


def test_what_nobody_is_listed_for_is_not_judged() -> None:
    one = pod(annotations={NEW: "[]", MOUNTS: "[]"})
    assert believed(one, TrustOptions()) is one
    found = believed(one, rules(**SHOP))
    assert [(v.rule, v.outcome) for v in found.verdicts] == [("injection.devices", "believed")]


@pytest.mark.parametrize("mode", ["enforce", "observe", "off"])
def test_who_is_not_listed_gets_nothing_in_any_mode(mode: str) -> None:
    found = believed(pod(annotations={NEW: "[]", f"{OLD}/pod": "[]", MOUNTS: "[]"}), rules(mode, **OTHERS))
    assert set(found.annotations) == {MOUNTS}
    (verdict,) = found.verdicts
    assert verdict.outcome == "refused"
    assert str(verdict).startswith(
        f"annotation {NEW} and 1 more not believed: nobody whom koordnri-config.trust.injection.devices lists (namespace others)"
    )


@pytest.mark.parametrize("who", [{"serviceAccounts": ["shop/builder"]}, {"schedulers": ["mine"]}])
def test_a_pod_whose_spec_is_not_known_gets_nothing_whatever_without_spec_says(who: Any) -> None:
    trust = policy_of(koordnri_config={"trust": {"withoutSpec": "believe", "injection": {"mounts": who}}}).trust
    found = believed(pod(annotations={MOUNTS: "[]"}), trust)
    assert ([v.outcome for v in found.verdicts], found.annotations) == (["unknown"], {})
    listed = rules(mounts={**who, "namespaces": ["shop"]})
    assert believed(pod(annotations={MOUNTS: "[]"}), listed).verdicts[0].outcome == "believed"


def test_a_static_pod_is_believed_where_the_kind_is_on() -> None:
    static = pod(annotations={NEW: "[]", SOURCE_KEY: "file"})
    assert believed(static, rules(**OTHERS)).verdicts[0].outcome == "believed"
    assert believed(static, TrustOptions()).verdicts == ()


def test_the_policy_names_the_kinds_that_are_on() -> None:
    assert policy_of(koordnri_config={"trust": {"injection": SHOP}}).injections == {"devices"}
    assert policy_of(koordnri_config={}).injections == frozenset()


def test_a_kind_may_select_namespaces_by_labels() -> None:
    selecting = {"namespaceSelector": {"matchLabels": {"team": "storage"}}}
    trust = rules(devices=selecting)
    assert trust.needs_namespace_labels
    assert not rules(**SHOP).needs_namespace_labels
    one = pod(annotations={NEW: "[]"})
    assert [believed(one, trust, labels).verdicts[0].outcome for labels in ({"team": "storage"}, {}, None)] == [
        "believed",
        "refused",
        "unknown",
    ]
