"""Eviction of a noisy neighbour: only of suspects that the rules of eviction allow."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.control.evictor import Evictor
from koordnri.control.finding import OUTSIDE, Cause, Finding, Resource, Suspect
from koordnri.control.signals import PodSignals
from koordnri.control.victims import Feature
from koordnri.model import NodeState
from koordnri.model.control import NO_CONTROL
from koordnri.policy import Policy
from tests.control.evicted_node import ENABLED, LONG_AGO_S, evicting, node, running

WEB = running("web", "LS", priority=9500)
HOG, SMALL = running("hog"), running("small")
ALLOWED = running("mid", "LS", priority=7000, labels=ENABLED)


def found(*suspects: PodSignals, cause: Cause = Cause.NEIGHBOUR) -> Finding:
    named = [Suspect(f"shop/{one.pod.name}", one.pod.uid, True, 4.0, 0.0) for one in suspects]
    outside = Suspect(OUTSIDE, "", False, 9.0, 0.0)
    return Finding(WEB.pod, Resource.CPU, cause, 15.0, 50.0, 20, 0.0, 0.0, (outside, *named))


def evicted(*findings: Finding, policy: Policy | None = None, **more: Any) -> list[str]:
    at = node(WEB, HOG, SMALL, ALLOWED, *more.pop("pods", ()))
    victims = Evictor(LONG_AGO_S).step(
        at, policy or evicting(), NO_CONTROL, NodeState(), more.pop("standing", {}), findings
    )
    assert {victim.feature for victim in victims} <= {Feature.NOISY_NEIGHBOUR}
    return [victim.pod.name for victim in victims]


def test_the_worst_suspect_is_evicted_and_no_other():
    assert evicted(found(HOG, SMALL)) == ["hog"]
    assert evicted(found(SMALL, HOG), found(HOG)) == ["small"]


def test_its_owner_is_shown_the_evidence():
    [victim] = Evictor(LONG_AGO_S).step(node(WEB, HOG), evicting(), NO_CONTROL, NodeState(), {}, [found(HOG)])
    assert victim.reason.startswith("shop/web waited for a CPU 50 % of the time for 15 s (target 20 %), while others")


@pytest.mark.parametrize(
    ("suspect", "threshold", "names"),
    [
        pytest.param(WEB, {}, [], id="a-service"),
        pytest.param(ALLOWED, {}, [], id="eviction-enabled-and-no-threshold-in-the-policy"),
        pytest.param(ALLOWED, {"evictEnabledPriorityThreshold": 6999}, [], id="its-priority-is-above-the-threshold"),
        pytest.param(ALLOWED, {"evictEnabledPriorityThreshold": 7000}, ["mid"], id="eviction-enabled"),
    ],
)
def test_a_pod_that_is_not_BE_must_have_allowed_it(suspect, threshold, names):
    assert evicted(found(suspect), policy=evicting(**threshold)) == names


def test_a_suspect_that_may_not_be_evicted_is_passed_over():
    refuses = running("refuses", annotations={"koordinator.sh/eviction-policy": ["BEMemoryEvict"]})
    allows = running("allows", annotations={"koordinator.sh/eviction-policy": ["NoisyNeighbourEvict"]})
    assert evicted(found(refuses, allows), pods=[refuses, allows]) == ["allows"]


@pytest.mark.parametrize("cause", [Cause.ITSELF, Cause.STOLEN, Cause.THROTTLED])
def test_nobody_is_evicted_for_a_wait_that_is_no_neighbours(cause):
    assert evicted(found(HOG, cause=cause)) == []


def test_while_a_pod_is_leaving_no_other_is_evicted():
    assert evicted(found(HOG), standing={SMALL.pod.uid: "leaving"}) == []


def test_the_nodes_budget_of_evictions_holds():
    evictor, policy = Evictor(LONG_AGO_S), evicting({"burst": 1, "perMinute": 1})
    names = []
    for tick in range(30):
        hog = running(f"hog{tick}")
        names += evictor.step(node(WEB, hog, at_s=float(tick)), policy, NO_CONTROL, NodeState(), {}, [found(hog)])
    assert [victim.pod.name for victim in names] == ["hog0"]
