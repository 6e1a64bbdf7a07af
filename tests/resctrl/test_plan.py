"""Which groups should exist."""

import pytest

from tests.resctrl.resctrl_node import BE_HALF, FULL, HALF, OFF, ResctrlNode, asks, classes


@pytest.mark.parametrize("how", ["off", "pod", "all", "namespace"])
def test_a_pod_that_is_released_or_left_alone_is_in_no_group_of_ours(how):
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", asks([20, 80]))
    node.pod("q", "BE")
    node.run_pass()
    match how:
        case "off":
            node.set_policy(**OFF)
        case "pod":
            node.released = frozenset({"p", "q"})
        case "all":
            node.released = frozenset({"*"})
        case "namespace":
            node.set_policy(**BE_HALF, koordnri_config={"clusterStrategy": {"namespacesLeftAlone": ["shop"]}})
    node.run_pass()
    assert node.group_of("p") == node.group_of("q") == {""}
    assert "koordlet-uid-p" not in node.ours()
    assert node.lines("BE") == (FULL if how in ("off", "all") else HALF)


@pytest.mark.parametrize("bad", ["{", asks([80, 20]), asks(llc=None, mb=None, l2={"schemata": {"range": [9]}})])
def test_a_bad_annotation_makes_no_group_and_keeps_the_one_that_there_is(bad):
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", bad)
    node.pod("q", "BE", asks([20, 80]))
    node.run_pass()
    assert node.ours() == {"BE", "koordlet-uid-q"}
    assert node.group_of("p") == {"BE"}
    before = {r: dict(v) for r, v in node.lines("koordlet-uid-q").items()}
    node.annotate("q", bad)
    node.run_pass()
    node.restarted(lost=True).run_pass()
    assert node.lines("koordlet-uid-q") == before
    assert node.group_of("q") == {"koordlet-uid-q"}


def test_a_cache_that_only_the_annotation_knows_is_the_annotations_mistake():
    node = ResctrlNode()
    node.pod("p", "LS", '{"llc": {"schemataPerCache": [{"cacheID": 7, "range": [0, 50]}]}}')
    node.run_pass()
    assert node.ours() == set()
    assert node.decided("p") == ""
    node.set_policy(**classes(ls={}))
    assert node.decided("p") == "LS"
