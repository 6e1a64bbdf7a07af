"""Resctrl groups in a comparison."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from koordnri.model import NodeState
from koordnri.model.node import Resctrl
from koordnri.model.schemata import MemoryBandwidth
from koordnri.reconcile.compare.rows import Comparison
from tests.reconcile.compare.one_comparison import classes, hooks, one
from tests.support.pods import pod as pod_of

CACHED = NodeState(resctrl=Resctrl("intel", 0xFF, 4, (0, 1), frozenset({"BE"}), bandwidth=MemoryBandwidth((0, 1))))


def of_groups(found: Comparison) -> dict[tuple[str, str, str], tuple[Any, Any]]:
    return {(d.pod, d.group, d.field): (d.before, d.after) for d in found.differences if d.group}


def be_limits(**asked: Any) -> dict[str, Any]:
    return classes(beClass={"resctrlQOS": {"enable": True, **asked}})


def test_what_a_class_is_to_have_of_caches_and_bandwidth_is_a_change_of_its_group():
    pod = pod_of(name="p")
    half, less = be_limits(catRangeEndPercent=50), be_limits(catRangeEndPercent=25, mbaPercent=50)
    found = one(pod=pod, state=CACHED, old=half, new=less)
    assert of_groups(found) == {
        ("", "BE", "schemata[L3]"): ("0=f;1=f", "0=3;1=3"),
        ("", "BE", "schemata[MB]"): ("0=100;1=100", "0=50;1=50"),
    }
    (bandwidth,) = [d.as_json() for d in found.differences if d.field == "schemata[MB]"]
    assert (bandwidth["group"], bandwidth["container"], bandwidth["class"], bandwidth["route"], bandwidth["reason"]) == (
        "BE", None, None, "resctrl", "resctrlQOS of BE"
    )  # fmt: skip
    gone = one(pod=pod, state=CACHED, old=less, new={})
    assert of_groups(gone)["", "BE", "schemata[MB]"] == ("0=50;1=50", None)
    assert {d.reason for d in gone.differences} == {"the group is not wanted any more"}


def test_a_pods_own_group_is_reported_with_its_pod():
    kept = {"node.koordinator.sh/resctrl": json.dumps({"mb": {"schemata": {"percent": 20}}})}
    pod = pod_of(annotations=kept, name="p")
    entitled = {"koordnri_config": {"clusterStrategy": {"trust": {"resctrl": {"namespaces": [pod.namespace]}}}}}
    assert of_groups(one(pod=pod, state=CACHED, old=hooks(rdt={"mode": "off"}), new={})) == {}, "not entitled to one"
    found = one(pod=pod, state=CACHED, old=hooks(rdt={"mode": "off"}), new=entitled)
    assert of_groups(found)["p", "koordlet-uid-p", "schemata[MB]"] == (None, "0=20;1=20")


@pytest.mark.parametrize("resctrl", [None, replace(CACHED.resctrl, read_only="no rights")])
def test_where_no_group_can_be_made_there_is_none_to_report(resctrl):
    state = replace(CACHED, resctrl=resctrl)
    assert one(state=state, old={}, new=be_limits(mbaPercent=50)).differences == []
