"""Hook rdt: which resctrl group a container belongs to, and by which way it gets there."""

from dataclasses import replace

import pytest
from koordnri_hooks.rdt import RDT

from koordnri.model import Event, NodeState
from koordnri.model.errors import AnnotationError
from koordnri.model.node import Resctrl
from koordnri.model.schemata import Cache, MemoryBandwidth
from tests.hooks.one_hook import context, faults, run, values
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod
from tests.support.policies import policy_of

KEY = "node.koordinator.sh/resctrl"
OWN = {KEY: {"llc": {"schemata": {"range": [20, 80]}}}}
CACHES = (Cache("L3", 0xFF, (0, 8)),)


def node_with(*groups, **refused):
    return NodeState(
        resctrl=Resctrl("intel", 0xFF, 8, (0, 8), frozenset(groups), CACHES, MemoryBandwidth((0, 8)), refused=refused)
    )


NODE = node_with("LSR", "LS", "BE")
ENABLED = policy_of(
    resource_qos_config={
        "clusterStrategy": {f"{c}Class": {"resctrlQOS": {"enable": True}} for c in ("lsr", "ls", "be", "system")}
    }
)
ONLY_BE = policy_of(resource_qos_config={"clusterStrategy": {"beClass": {"resctrlQOS": {"enable": True}}}})
DEFAULT = policy_of()


@pytest.mark.parametrize(
    ("qos", "parent", "group"),
    [
        ("LSE", GUARANTEED, "LSR"),
        ("LSR", GUARANTEED, "LSR"),
        ("LS", BURSTABLE, "LS"),
        ("BE", BESTEFFORT, "BE"),
        ("BE", GUARANTEED, "BE"),
        pytest.param("", GUARANTEED, "LSR", id="v75-Guaranteed"),
        pytest.param("", BURSTABLE, "LS", id="v75-Burstable"),
        pytest.param("", BESTEFFORT, "BE", id="v75-BestEffort"),
    ],
)
def test_a_container_starts_in_the_group_of_its_class(qos, parent, group):
    decision = run(RDT(), context(pod(qos, parent), node=NODE, policy=ENABLED))
    assert values(decision) == {"rdt.closid": group}
    assert decision.settings["rdt.closid"].route == "adjust"


def test_a_pod_with_its_own_resctrl_gets_its_own_group():
    decision = run(RDT(), context(pod("LS", annotations=OWN), node=node_with("LS", "koordlet-uid-web"), policy=DEFAULT))
    assert values(decision) == {"rdt.closid": "koordlet-uid-web"}
    assert decision.settings["rdt.closid"].route == "adjust"


@pytest.mark.parametrize(("annotations", "group"), [({}, "LS"), (OWN, "koordlet-uid-web")])
def test_a_group_that_is_still_to_be_made_is_not_named_to_the_runtime(annotations, group):
    decision = run(RDT(), context(pod("LS", annotations=annotations), node=node_with("BE"), policy=ENABLED))
    assert values(decision) == {"rdt.closid": group}
    assert decision.settings["rdt.closid"].route == "resctrl"


@pytest.mark.parametrize("event", [Event.UPDATE, Event.SYNC])
def test_a_running_container_follows_by_its_threads(event):
    decision = run(RDT(), context(pod("LS"), node=NODE, policy=ENABLED, event=event))
    assert values(decision) == {"rdt.closid": "LS"}
    assert decision.settings["rdt.closid"].route == "resctrl"


def test_without_rights_only_what_is_created_joins_a_group_and_only_one_that_exists():
    node = replace(NODE, resctrl=replace(node_with("LS").resctrl, read_only="no rights"))
    joins = run(RDT(), context(pod("LS"), node=node, policy=ENABLED))
    assert joins.settings["rdt.closid"][2:] == ("LS", "rdt", "resctrl group of the class", "adjust")
    own = run(RDT(), context(pod("LS", annotations=OWN), node=node, policy=ENABLED))
    assert values(own) == {"rdt.closid": "LS"}
    assert own.settings["rdt.closid"].reason.startswith("no resctrl group of the pod's own: no rights; ")
    be = run(RDT(), context(pod("BE", BESTEFFORT), node=node, policy=ENABLED))
    assert be.skipped == {"rdt.closid": "resctrl group BE could not be made: no rights"}
    for event in (Event.UPDATE, Event.SYNC):
        runs = run(RDT(), context(pod("LS"), node=node, policy=ENABLED, event=event))
        assert (runs.settings, runs.skipped) == ({}, {"rdt.closid": "no rights"})


def test_a_pod_whose_own_group_could_not_be_made_joins_its_class_and_says_why():
    node = node_with("LS", **{"koordlet-uid-web": "no class left"})
    decision = run(RDT(), context(pod("LS", annotations=OWN), node=node, policy=ENABLED))
    assert values(decision) == {"rdt.closid": "LS"}
    reason = "no resctrl group of the pod's own: no class left; resctrl group of the class"
    assert decision.settings["rdt.closid"].reason == reason


@pytest.mark.parametrize(
    ("one", "node", "policy", "reason"),
    [
        pytest.param(pod("LS"), NODE, DEFAULT, "resource-qos-config.lsClass.resctrlQOS is not enabled", id="disabled"),
        pytest.param(
            pod("LSE"), NODE, ONLY_BE, "resource-qos-config.lsrClass.resctrlQOS is not enabled", id="other-class"
        ),
        pytest.param(pod("LS"), NodeState(), ENABLED, "the node has no resctrl", id="no-resctrl"),
        pytest.param(
            pod("LS", annotations=OWN), NodeState(), ENABLED, "the node has no resctrl", id="own-group-no-resctrl"
        ),
        pytest.param(
            pod("LS"), node_with(LS="no class left"), ENABLED,
            "resctrl group LS could not be made: no class left", id="class-without-a-group",
        ),
        pytest.param(pod("SYSTEM"), NODE, ENABLED, "SYSTEM stays in the root group", id="SYSTEM"),
        pytest.param(
            pod("LS", annotations=OWN), node_with(**{"koordlet-uid-web": "no class left"}), DEFAULT,
            "no resctrl group of the pod's own: no class left; resource-qos-config.lsClass.resctrlQOS is not enabled",
            id="neither-own-nor-class",
        ),
    ],
)  # fmt: skip
def test_a_container_that_is_not_moved_says_why(one, node, policy, reason):
    decision = run(RDT(), context(one, node=node, policy=policy))
    assert decision.settings == {}
    assert decision.skipped == {"rdt.closid": reason}


@pytest.mark.parametrize("uid", ["../BE", "a/b", "", "x" * 300, "ü"])
def test_a_uid_that_cannot_name_a_directory_costs_the_pods_own_group_only(uid):
    odd = pod("LS", annotations=OWN)
    odd.uid = uid
    decision = run(RDT(), context(odd, node=NODE, policy=ENABLED))
    assert values(decision) == {"rdt.closid": "LS"}
    assert "cannot name a directory" in decision.settings["rdt.closid"].reason


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "broken JSON"),
        ("[]", "Expected `object`"),
        ('{"llc": 3}', "$.llc"),
        ('{"llc": {"schemata": {"range": [80, 20]}}}', "whose end is above its start, got [80, 20]"),
        ('{"llc": {"schemata": {"range": [20, 20]}}}', "whose end is above its start"),
        ('{"llc": {"schemata": {"range": [-10, 20]}}}', "$.llc.schemata.range"),
        ('{"llc": {"schemata": {"range": [0, 110]}}}', "$.llc.schemata.range"),
        ('{"llc": {"schemata": {"range": [0]}}}', "$.llc.schemata.range"),
        ('{"llc": {"schemata": {}}}', "$.llc.schemata"),
        ('{"llc": {"schemata": {"range": [true, 20]}}}', "$.llc.schemata.range"),
        ('{"llc": {"schemataPerCache": [{"cacheID": 8, "range": [20, 10]}]}}', "end is above its start"),
        ('{"l2": {"schemataPerCache": [{"cacheID": -1, "range": [20, 50]}]}}', "$.l2.schemataPerCache[0].cacheID"),
        ('{"mb": {"schemata": {"percent": 0}}}', "$.mb.schemata.percent"),
        ('{"mb": {"schemata": {"percent": 101}}}', "$.mb.schemata.percent"),
        ('{"mb": {"schemata": {"percent": "20"}}}', "$.mb.schemata.percent"),
        (
            '{"mb": {"schemataPerCache": [{"cacheID": 0, "percent": 20}, {"cacheID": 0, "percent": 30}]}}',
            "each cacheID once in schemataPerCache, got 0 again",
        ),
        (
            '{"llc": {"schemataPerCache": [{"cacheID": 0, "range": [0, 50]}, {"cacheID": 3, "range": [0, 50]}]}}',
            "expected a cache of the node (0, 8) at $.llc.schemataPerCache[1].cacheID, got 3",
        ),
        ('{"mb": {"schemata": {"percent": 20}}}' + " " * 300_000, "expected at most"),
    ],
)
def test_a_bad_annotation_names_its_key_and_place_and_costs_the_pods_own_group_only(text, problem):
    decision = run(RDT(), context(pod("LS", annotations={KEY: text}), node=NODE, policy=ENABLED))
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert message.startswith(f"annotation {KEY}: ")
    assert problem in message
    assert values(decision) == {"rdt.closid": "LS"}, "nobody leaves his class by writing nonsense"
    assert decision.settings["rdt.closid"].reason == f"{KEY} cannot be used; resctrl group of the class"


def test_an_annotation_that_was_good_before_keeps_the_group_that_it_made():
    """Its containers stay where they are: what is decided of a hook that failed is not changed."""
    node = node_with("LS", "koordlet-uid-web")
    with pytest.raises(AnnotationError):
        run(RDT(), context(pod("LS", annotations={KEY: "{"}), node=node, policy=ENABLED, event=Event.SYNC))


@pytest.mark.parametrize(
    ("node", "policy", "reason"),
    [(NodeState(), ENABLED, "the node has no resctrl"), (NODE, DEFAULT, "lsClass.resctrlQOS is not enabled")],
)
def test_a_bad_annotation_is_reported_even_where_there_is_no_group_to_be_in(node, policy, reason):
    decision = run(RDT(), context(pod("LS", annotations={KEY: "{"}), node=node, policy=policy))
    assert len(decision.errors) == 1
    assert reason in decision.skipped["rdt.closid"]


@pytest.mark.parametrize("text", ["{}", "null", '{"llc": null}', '{"llc": {"schemataPerCache": null}, "other": 1}'])
def test_an_annotation_that_asks_for_nothing_is_a_group_of_its_own_or_none(text):
    decision = run(RDT(), context(pod("LS", annotations={KEY: text}), node=NODE, policy=ENABLED))
    assert values(decision) == {"rdt.closid": "koordlet-uid-web"}
    assert decision.errors == ()
