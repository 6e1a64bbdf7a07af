"""Trust rules that select namespaces by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from koordnri.model import Pod
from koordnri.model.annotations import BATCH_CPU, EXTENDED_RESOURCE_SPEC, RESOURCE_STATUS
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.policy import PolicyError
from koordnri.policy.trust import believed
from koordnri.policy.trust_options import TrustOptions
from tests.support.pods import BESTEFFORT, pod
from tests.support.policies import policy_of

HPC = {"namespaceSelector": {"matchLabels": {"team": "hpc"}}}
LABELS = {"team": "hpc", "kubernetes.io/metadata.name": "shop"}
SPEC = PodSpec({"main": ContainerSpec({"cpu": "2"}, {})}, scheduler_name="default-scheduler")
SCHEDULED = PodSpec(SPEC.containers, scheduler_name="koord-scheduler")


def rules(**trust: Any) -> TrustOptions:
    return policy_of(koordnri_config={"clusterStrategy": {"trust": trust}}).trust


def pinned(spec: PodSpec | None = SPEC) -> Pod:
    return pod("LSR", annotations={RESOURCE_STATUS.key: {"cpuset": "2-3"}}, spec=spec)


@pytest.mark.parametrize(
    ("labels", "spec", "more", "expected"),
    [
        pytest.param(LABELS, SPEC, {}, "believed", id="match"),
        pytest.param(LABELS, None, {}, "believed", id="match-without-spec"),
        pytest.param({"team": "web"}, SPEC, {}, "refused", id="other-labels"),
        pytest.param({}, SPEC, {}, "refused", id="no-labels"),
        pytest.param(None, SPEC, {}, "unknown", id="not-known"),
        pytest.param(None, None, {"withoutSpec": "believe"}, "believed", id="by-withoutSpec"),
        pytest.param(None, SPEC, {"mode": "observe"}, "observed", id="observed"),
        pytest.param(None, SCHEDULED, {}, "believed", id="another-list-has-it"),
    ],
)
def test_pods_of_namespaces_with_these_labels_are_believed(
    labels: Mapping[str, str] | None, spec: PodSpec | None, more: Any, expected: str
) -> None:
    found = believed(pinned(spec), rules(resourceStatus=HPC, **more), labels)
    (verdict,) = found.verdicts
    assert (verdict.outcome, RESOURCE_STATUS.key in found.annotations) == (
        expected,
        expected in ("believed", "observed"),
    )


def test_reasons_name_the_selector() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["gold", "silver"]},
        {"key": "web", "operator": "DoesNotExist"},
    ]
    by = {"namespaceSelector": {"matchLabels": {"team": "hpc"}, "matchExpressions": expressions}}
    trust, selector = rules(resourceStatus=by), "team=hpc,tier in (gold,silver),!web"
    (matched,) = believed(pinned(), trust, {"team": "hpc", "tier": "gold"}).verdicts
    assert matched.why == f"the labels of namespace shop match {selector}"
    (refused,) = believed(pinned(), trust, {"team": "hpc"}).verdicts
    assert f"(schedulerName koord-scheduler; namespace with labels {selector})" in refused.why
    (unknown,) = believed(pinned(), trust).verdicts
    path = "koordnri-config.trust.resourceStatus.namespaceSelector"
    assert unknown.why == f"the labels of namespace shop are not known ({path})"


def test_a_pod_is_judged_again_when_the_labels_of_its_namespace_change() -> None:
    trust = rules(resourceStatus=HPC)
    refused = believed(pinned(), trust, {})
    assert believed(refused, trust, {}) is refused
    allowed = believed(refused, trust, LABELS)
    assert RESOURCE_STATUS.key in allowed.annotations
    assert believed(allowed, trust, dict(LABELS)) is allowed, "equal labels change nothing"
    assert RESOURCE_STATUS.key not in believed(allowed, trust, None).annotations


@pytest.mark.parametrize(
    ("labels", "outcome"),
    [(None, "unknown"), ({}, "refused"), (LABELS, "believed")],
    ids=["not-known", "none", "match"],
)
def test_exclusive_cpus_may_be_limited_to_namespaces_with_labels(labels: Any, outcome: str) -> None:
    trust = rules(exclusiveCPUs=HPC)
    assert [v.outcome for v in believed(pod("LSE", spec=SPEC), trust, labels).verdicts] == [outcome]
    both = rules(exclusiveCPUs={**HPC, "namespaces": ["shop"]})
    assert [v.outcome for v in believed(pod("LSE", spec=SPEC), both, labels).verdicts] == ["believed"]


def test_batch_resources_above_the_spec_wait_for_the_labels() -> None:
    amounts = {"requests": {BATCH_CPU: "4k"}, "limits": {BATCH_CPU: "4k"}}
    text = {EXTENDED_RESOURCE_SPEC.key: {"containers": {"main": amounts}}}
    one, trust = pod("BE", BESTEFFORT, text, spec=SPEC), rules(extendedResourceSpec=HPC)
    assert [believed(one, trust, labels).verdicts[0].outcome for labels in (None, {}, LABELS)] == [
        "unknown",
        "refused",
        "believed",
    ]


@pytest.mark.parametrize(
    "rule",
    ["resourceStatus", "extendedResourceSpec", "exclusiveCPUs", "systemClass", "resctrl", "gpu", "ioLatency"],
)
def test_labels_are_needed_where_any_rule_selects_by_them(rule: str) -> None:
    assert rules(**{rule: HPC}).needs_namespace_labels
    assert not rules(**{rule: {"namespaces": ["shop"]}}).needs_namespace_labels


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({}, "expected matchLabels or matchExpressions, got neither"),
        ({"matchLabels": {}}, "expected matchLabels or matchExpressions, got neither"),
        ({"matchLabel": {"a": "b"}}, "unknown key, expected one of matchLabels, matchExpressions"),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "expected at least one value for In, got none"),
    ],
)
def test_a_selector_of_everybody_or_with_a_mistake_is_refused(selector: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        rules(resctrl={"namespaceSelector": selector})
