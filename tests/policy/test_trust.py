"""Trust rules: which inputs of a pod are believed, and of whom."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.model import Pod
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.pod import SOURCE_KEY, ContainerSpec, PodSpec
from koordnri.model.resources import Resources
from koordnri.policy.trust import believed, requested_cpus
from koordnri.policy.trust_options import TrustOptions
from tests.support.pods import pod
from tests.support.policies import policy_of

KEY = RESOURCE_STATUS.key
KOORD = "koord-scheduler"
DEFAULT = TrustOptions()


def rules(**trust: Any) -> TrustOptions:
    return policy_of(koordnri_config={"clusterStrategy": {"trust": trust}}).trust


def spec(cpus: str = "2", scheduler: str = "default-scheduler", account: str = "") -> PodSpec:
    return PodSpec({"main": ContainerSpec({"cpu": cpus}, {})}, scheduler_name=scheduler, service_account=account)


def pinned(cpuset: str = "2-3", its: PodSpec | None = None, **annotations: str) -> Pod:
    return pod("LSR", annotations={KEY: {"cpuset": cpuset}, **annotations}, spec=its)


def outcome(one: Pod, trust: TrustOptions) -> tuple[str, bool]:
    """(outcome of the only verdict, whether the annotation is still there)."""
    found = believed(one, trust)
    (verdict,) = found.verdicts
    assert (verdict.rule, verdict.what) == ("resourceStatus", f"annotation {KEY}")
    return verdict.outcome, KEY in found.annotations


LISTED = {"resourceStatus": {"namespaces": ["shop"]}}
AS_RUNNER = {"resourceStatus": {"serviceAccounts": ["shop/runner"]}}


@pytest.mark.parametrize(
    ("its", "trust", "expected"),
    [
        pytest.param(spec(scheduler=KOORD), {}, "believed", id="koord-scheduler-by-default"),
        pytest.param(spec(), {}, "refused", id="another-scheduler"),
        pytest.param(spec(scheduler=KOORD), {"resourceStatus": {"schedulers": ["mine"]}}, "refused", id="not-listed"),
        pytest.param(spec(scheduler="mine"), {"resourceStatus": {"schedulers": ["mine"]}}, "believed", id="listed"),
        pytest.param(spec(), LISTED, "believed", id="namespace"),
        pytest.param(None, LISTED, "believed", id="namespace-without-spec"),
        pytest.param(spec(account="runner"), AS_RUNNER, "believed", id="service-account"),
        pytest.param(spec(account="other"), AS_RUNNER, "refused", id="another-service-account"),
        pytest.param(None, {}, "unknown", id="no-spec"),
        pytest.param(None, {"withoutSpec": "believe"}, "believed", id="no-spec-believed"),
        pytest.param(spec(), {"withoutSpec": "believe"}, "refused", id="a-known-spec-counts-in-any-case"),
        pytest.param(spec(), {"mode": "observe"}, "observed", id="only-observed"),
        pytest.param(None, {"mode": "observe"}, "observed", id="only-observed-without-spec"),
    ],
)
def test_assigned_cpus_are_believed_of_those_that_are_listed(its: PodSpec | None, trust: Any, expected: str):
    assert outcome(pinned(its=its), rules(**trust)) == (expected, expected in ("believed", "observed"))


@pytest.mark.parametrize(
    ("cpuset", "cpus", "expected"),
    [("2-3", "2", "believed"), ("2-3", "1500m", "believed"), ("2-3", "1", "refused"), ("0-7", "2", "refused")],
)
def test_nobody_is_assigned_more_cpus_than_the_pod_requests(cpuset: str, cpus: str, expected: str):
    assert outcome(pinned(cpuset, spec(cpus, KOORD)), DEFAULT)[0] == expected
    assert outcome(pinned(cpuset, spec(cpus)), rules(**LISTED))[0] == expected


def test_a_refusal_names_what_was_expected_and_what_the_pod_has():
    (by_whom,) = believed(pinned(its=spec()), DEFAULT).verdicts
    assert str(by_whom) == (
        f"annotation {KEY} not believed: nobody whom koordnri-config.trust.resourceStatus lists (schedulerName {KOORD}): "
        "it has schedulerName default-scheduler, namespace shop, service account shop/default"
    )
    (number,) = believed(pinned("0-7", spec("2", KOORD)), DEFAULT).verdicts
    assert number.why == "it names 8 CPUs (0-7), and the pod requests 2"


def test_a_static_pod_is_believed_as_the_runtime_reports_it():
    assert outcome(pinned(**{SOURCE_KEY: "file"}), DEFAULT) == ("believed", True)
    assert outcome(pinned(**{SOURCE_KEY: "api"}), DEFAULT) == ("unknown", False)
    later = pinned(**{SOURCE_KEY: "file"})
    later.reported = {SOURCE_KEY: "api"}  # written by somebody else, after kubelet
    assert outcome(later, DEFAULT) == ("unknown", False)


@pytest.mark.parametrize("text", ["", "{}", '{"cpuset": ""}', '{"cpuset": "nonsense"}', "{"])
def test_an_annotation_without_effect_is_not_judged(text: str):
    one = pod("LSR", annotations={KEY: text}, spec=spec())
    assert believed(one, DEFAULT) is one
    assert one.verdicts == ()


def test_numa_nodes_are_believed_of_the_same_pods():
    status = {"numaNodeResources": [{"node": 1, "resources": {"cpu": "1"}}]}
    assert outcome(pod("LS", annotations={KEY: status}, spec=spec()), DEFAULT) == ("refused", False)
    assert outcome(pod("LS", annotations={KEY: status}, spec=spec(scheduler=KOORD)), DEFAULT) == ("believed", True)


def test_what_is_refused_comes_back_under_other_rules():
    one = pinned(its=spec())
    one.given["main"] = {"/data": "8:0"}
    refused = believed(one, DEFAULT)
    assert (refused is one, refused.raw is one, refused.qos, refused.given) == (False, True, one.qos, one.given)
    assert refused.reported == one.reported, "the runtime still reports the annotation"
    assert believed(refused, DEFAULT) is refused
    resized = refused.with_resources(Resources(512))
    again = believed(resized, rules(**LISTED))
    assert (again.annotations, again.raw, again.resources) == (one.annotations, None, Resources(512))
    assert believed(again, rules(mode="off")).verdicts == ()


def test_equal_rules_of_another_policy_change_nothing():
    refused = believed(pinned(its=spec()), TrustOptions())
    again = TrustOptions()
    assert believed(refused, again) is refused
    assert refused.judged_by is again, "the next comparison is one of identities"


def test_a_pod_that_writes_nothing_stays_the_same_object():
    one = pod("LS")
    assert believed(one, DEFAULT) is one
    assert believed(one, rules(mode="off")) is one


def test_requests_are_counted_as_schedulers_count_them():
    containers = {
        "init": ContainerSpec({"cpu": "3"}, {}, init=True),
        "main": ContainerSpec({"cpu": "1500m"}, {}),
        "limited": ContainerSpec({}, {"cpu": 1}),
        "batch": ContainerSpec({"kubernetes.io/batch-cpu": "250"}, {}),
        "odd": ContainerSpec({"cpu": "much"}, {}),
    }
    one = pod("LS")
    for its, expected in (
        (PodSpec(containers), 3),
        (PodSpec(containers, overhead={"cpu": "100m"}), 4),
        (PodSpec(containers, requests={"cpu": "6"}), 6),
        (PodSpec({}), 0),
    ):
        one.spec = its
        assert requested_cpus(one, its) == expected
