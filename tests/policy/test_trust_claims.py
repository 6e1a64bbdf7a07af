"""Whether CPUs in a pod's environment are believed, by its claims and the policy."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.model import CPUSet
from koordnri.model.pod import SOURCE_KEY, PodSpec
from koordnri.policy.trust_claims import claimed_cpus
from koordnri.policy.trust_options import TrustOptions
from tests.support.pods import pod
from tests.support.policies import policy_of

CPUS = CPUSet.parse("0-3")


def rules(**trust: Any) -> TrustOptions:
    return policy_of(koordnri_config={"clusterStrategy": {"trust": trust}}).trust


def spec(problem: str = "", **claimed: int) -> PodSpec:
    """A pod with claims; the drivers' names have `_` for `.`."""
    given = {driver.replace("_", "."): cpus for driver, cpus in claimed.items()}
    return PodSpec({}, resource_claims=True, claimed_cpus=given or None, claims_problem=problem)


@pytest.mark.parametrize(
    ("its", "trust", "outcome"),
    [
        pytest.param(spec(dra_cpu=4), {}, "believed", id="listed"),
        pytest.param(spec(dra_cpu=3), {}, "refused", id="fewer"),
        pytest.param(spec(gpu=8), {}, "refused", id="unrelated"),
        pytest.param(spec(gpu=8, dra_cpu=4), {}, "believed", id="among-others"),
        pytest.param(spec(dra_cpu=4), {"draDrivers": []}, "refused", id="nobody"),
        pytest.param(spec(mine=2, dra_cpu=2), {"draDrivers": ["dra.cpu", "mine"]}, "believed", id="two-together"),
        pytest.param(PodSpec({}), {}, "refused", id="no-claims"),
        pytest.param(PodSpec({}), {"withoutSpec": "believe"}, "refused", id="no-claims-are-known"),
        pytest.param(PodSpec({}), {"mode": "observe"}, "observed", id="observe"),
        pytest.param(PodSpec({}), {"mode": "off"}, "believed", id="off"),
        pytest.param(spec("forbidden"), {"withoutSpec": "believe"}, "refused", id="cannot-be-read"),
        pytest.param(spec(), {}, "unknown", id="not-read"),
        pytest.param(None, {}, "unknown", id="no-spec"),
        pytest.param(None, {"withoutSpec": "believe"}, "believed", id="no-spec-believed"),
        pytest.param(spec(), {"withoutSpec": "believe"}, "believed", id="not-read-believed"),
        pytest.param(None, {"mode": "observe"}, "observed", id="no-spec-observed"),
    ],
)
def test_cpus_are_believed_as_far_as_listed_drivers_gave_them(its: PodSpec | None, trust: Any, outcome: str) -> None:
    verdict = claimed_cpus(pod(spec=its), CPUS, rules(**trust))
    assert (verdict.rule, verdict.outcome) == ("draDrivers", outcome)
    assert verdict.counts == (outcome in ("believed", "observed"))


def test_of_a_static_pod_they_are_believed_as_the_runtime_reports_it() -> None:
    one = pod(spec=PodSpec({}), annotations={SOURCE_KEY: "file"})
    assert claimed_cpus(one, CPUS, TrustOptions()).outcome == "believed"
    assert claimed_cpus(pod(annotations={SOURCE_KEY: "api"}), CPUS, TrustOptions()).outcome == "unknown"


def test_reasons_name_what_was_expected_and_what_there_is() -> None:
    def why(its: PodSpec) -> str:
        return claimed_cpus(pod(spec=its), CPUS, TrustOptions()).why

    assert why(spec(dra_cpu=5)) == "dra.cpu, listed in trust.draDrivers, gave the pod's claims 5 CPUs"
    assert why(spec(dra_cpu=3)) == "it names 4 CPUs (0-3), and dra.cpu gave the pod's claims 3"
    assert why(spec(gpu=1, net=1)) == (
        "expected claims with devices of dra.cpu (koordnri-config.trust.draDrivers), the pod has gpu, net"
    )
    assert len(why(spec("x" * 5000))) < 300
