"""Batch resources that only an annotation names raise nothing above what the pod's spec says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koordnri.model import Pod
from koordnri.model.annotations import EXTENDED_RESOURCE_SPEC
from koordnri.model.pod import SOURCE_KEY, ContainerSpec, PodSpec
from koordnri.policy.trust import believed
from koordnri.policy.trust_options import Believed, TrustOptions
from tests.support.pods import pod

KEY = EXTENDED_RESOURCE_SPEC.key
CPU, MEMORY = "kubernetes.io/batch-cpu", "kubernetes.io/batch-memory"
DEFAULT = TrustOptions()
Amounts = dict[str, Any]


def batch(requests: Amounts, limits: Amounts, spec: PodSpec | None, qos: str = "BE", **annotations: str) -> Pod:
    written = {"containers": {"main": {"requests": requests, "limits": limits}}}
    return pod(qos, annotations={KEY: written, **annotations}, spec=spec)


def spec(requests: Amounts | None = None, limits: Amounts | None = None) -> PodSpec:
    return PodSpec({"main": ContainerSpec(requests or {}, limits or {})})


def left(one: Pod, trust: TrustOptions = DEFAULT) -> tuple[str, Any]:
    """(outcome, what the annotation says to hooks: requests and limits of main; None: it is not there)."""
    found = believed(one, trust)
    (verdict,) = found.verdicts
    text = found.annotations.get(KEY)
    if text is None:
        return verdict.outcome, None
    its = json.loads(text)["containers"].get("main", {})
    return verdict.outcome, (its["requests"], its["limits"])


@pytest.mark.parametrize(
    ("requests", "limits", "native", "expected"),
    [
        pytest.param({}, {CPU: "500", MEMORY: "1Gi"}, spec(), ("believed", None), id="a-limit-where-there-is-none"),
        pytest.param({CPU: "500"}, {CPU: "500"}, spec({"cpu": "1"}, {"cpu": "1"}), ("believed", None), id="narrower"),
        pytest.param({CPU: "500"}, {}, spec(), ("refused", ({CPU: 0}, {})), id="a-weight-without-a-request"),
        pytest.param({CPU: "2000"}, {}, spec({"cpu": "1500m"}), ("refused", ({CPU: 1500}, {})), id="more-weight"),
        pytest.param(
            {CPU: "2000"}, {}, spec({}, {"cpu": "2"}), ("refused", ({CPU: "2000"}, {CPU: 2000})), id="no-limit"
        ),
        pytest.param({}, {CPU: "4000"}, spec({}, {"cpu": "1"}), ("refused", ({}, {CPU: 1000})), id="more-quota"),
        pytest.param({}, {CPU: "0"}, spec({}, {"cpu": "1"}), ("refused", ({}, {CPU: 1000})), id="quota-lifted"),
        pytest.param(
            {MEMORY: "2Gi"},
            {MEMORY: "2Gi"},
            spec({"memory": "1Gi"}, {"memory": "1Gi"}),
            ("refused", ({MEMORY: 1 << 30}, {MEMORY: 1 << 30})),
            id="more-memory",
        ),
        pytest.param(
            {}, {CPU: "much"}, spec({}, {"cpu": "1"}), ("believed", None), id="unreadable-is-the-hooks-business"
        ),
    ],
)
def test_what_the_annotation_alone_names_is_at_most_what_the_spec_says(
    requests: Amounts, limits: Amounts, native: PodSpec, expected: Any
):
    outcome, amounts = expected
    assert left(batch(requests, limits, native)) == (outcome, amounts or (requests, limits))


def test_the_message_names_what_is_too_much():
    (verdict,) = believed(batch({CPU: "2000", MEMORY: "1Gi"}, {}, spec({"cpu": "1"})), DEFAULT).verdicts
    assert str(verdict) == (
        f"annotation {KEY} not believed: it names more than the spec, whose amounts count instead: "
        f"main: requests {CPU} 2000; main: requests {MEMORY} 1Gi"
    )


def test_batch_resources_of_the_spec_leave_nothing_to_believe():
    one = batch({CPU: "9000"}, {CPU: "9000"}, spec({CPU: "500"}, {CPU: "500"}))
    assert believed(one, DEFAULT) is one
    assert one.verdicts == ()


def test_other_classes_have_no_batch_resources_and_no_verdict():
    assert believed(batch({CPU: "9000"}, {}, spec(), qos="LS"), DEFAULT).verdicts == ()


def test_without_a_spec_nothing_or_everything_is_believed_as_the_policy_says():
    raises: tuple[Amounts, Amounts] = ({CPU: "2000"}, {CPU: "4000"})
    assert left(batch(*raises, None)) == ("unknown", None)
    assert left(batch(*raises, None), TrustOptions(without_spec="believe")) == ("believed", raises)


def test_listed_namespaces_and_static_pods_may_name_what_they_like():
    raises: tuple[Amounts, Amounts] = ({CPU: "2000"}, {CPU: "4000"})
    listed = TrustOptions(extended_resource_spec=Believed(namespaces=("shop",)))
    assert left(batch(*raises, spec()), listed) == ("believed", raises)
    assert left(batch(*raises, spec(), **{SOURCE_KEY: "file"})) == ("believed", raises)
    assert left(batch(*raises, spec()), TrustOptions(mode="observe")) == ("observed", raises)


def test_containers_that_the_spec_lacks_and_limits_of_the_whole_pod_are_no_way_around():
    ghost = batch({}, {CPU: "500"}, PodSpec({"other": ContainerSpec({}, {})}))
    assert json.loads(believed(ghost, DEFAULT).annotations[KEY]) == {"containers": {}}
    whole = PodSpec({"main": ContainerSpec({}, {})}, limits={"cpu": "1"})
    assert left(batch({}, {CPU: "500"}, whole)) == ("refused", None)
