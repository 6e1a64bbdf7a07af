"""Which resctrl group a pod's containers belong to, and why."""

from __future__ import annotations

import json

import pytest

from koordnri.model import AnnotationError
from koordnri.model.annotations import RESCTRL_KEY
from koordnri.model.node import Resctrl
from koordnri.model.schemata import GroupWish
from koordnri.policy import Policy
from koordnri.resctrl.choice import NO_RESCTRL, Choice, choose, class_wish, is_ours, pod_group, pod_wish
from tests.support.pods import BESTEFFORT, GUARANTEED, pod
from tests.support.policies import policy_of

NODE = Resctrl("intel", 0xFF, 8, (0, 1), frozenset({"LSR", "LS", "BE", "koordlet-uid-web"}))
OWN = {RESCTRL_KEY: {"llc": {"schemata": {"range": [0, 50]}}}}


def enabled(**be: object) -> Policy:
    on = {"resctrlQOS": {"enable": True}}
    be_class = {"resctrlQOS": {"enable": True, **be}}
    return policy_of(resource_qos_config={"clusterStrategy": {"lsrClass": on, "lsClass": on, "beClass": be_class}})


@pytest.mark.parametrize(
    ("qos", "parent", "group"),
    [
        ("LSE", None, "LSR"),
        ("LSR", None, "LSR"),
        ("LS", None, "LS"),
        ("BE", None, "BE"),
        ("SYSTEM", None, ""),
        ("", GUARANTEED, "LSR"),
        ("", None, "LS"),
        ("", BESTEFFORT, "BE"),
    ],
)
def test_a_pod_is_in_the_group_of_its_class(qos: str, parent: str | None, group: str) -> None:
    assert choose(pod(qos, parent), enabled(), NODE).group == group


def test_a_pod_with_the_annotation_has_a_group_of_its_own() -> None:
    assert choose(pod("BE", annotations=OWN), enabled(), NODE) == Choice("koordlet-uid-web", "resctrl group of the pod")


@pytest.mark.parametrize(
    ("policy", "node", "reason"),
    [
        (enabled(), None, NO_RESCTRL),
        (policy_of(), NODE, "resource-qos-config.beClass.resctrlQOS is not enabled"),
    ],
)
def test_why_a_pod_is_in_the_root_group(policy: Policy, node: Resctrl | None, reason: str) -> None:
    assert choose(pod("BE"), policy, node) == Choice("", reason)


def test_a_cache_that_the_node_lacks_is_the_annotations_mistake() -> None:
    asked = {RESCTRL_KEY: {"llc": {"schemataPerCache": [{"cacheID": 7, "range": [0, 50]}]}}}
    with pytest.raises(
        AnnotationError, match=r"expected a cache of the node \(0, 1\) at .*schemataPerCache\[0\].*got 7"
    ):
        choose(pod("BE", annotations=asked), enabled(), NODE)
    assert pod_wish(pod("BE"), NODE) is None


def test_a_class_asks_for_what_differs_from_everything() -> None:
    assert class_wish("LSR", enabled()) == GroupWish()
    assert class_wish("BE", enabled(catRangeEndPercent=50, mbaPercent=60)) == GroupWish(llc=(0, 50), mb=60)
    assert class_wish("BE", policy_of()) is None


@pytest.mark.parametrize(
    ("uid", "group"),
    [("1-a", "koordlet-1-a"), ("../x", ""), ("a/b", ""), ("", ""), ("ü", ""), ("x" * 201, "")],
)
def test_only_a_uid_that_can_be_a_directory_names_a_group(uid: str, group: str) -> None:
    one = pod()
    one.uid = uid
    assert pod_group(one) == group


@pytest.mark.parametrize(("group", "ours"), [("BE", True), ("koordlet-1", True), ("be", False), ("mon_groups", False)])
def test_groups_of_other_names_are_not_ours(group: str, ours: bool) -> None:
    assert is_ours(group) is ours


def test_the_annotation_may_be_any_json() -> None:
    with pytest.raises(AnnotationError):
        choose(pod("BE", annotations={RESCTRL_KEY: json.dumps([1])}), enabled(), NODE)
