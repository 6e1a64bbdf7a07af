"""Hook rdt: a group is named only when it exists, since the runtime fails a container over a missing one."""

import pytest
from koordnri_hooks.rdt import RDT
from one_hook import BESTEFFORT, BURSTABLE, GUARANTEED, context, pod, policy_of, run, values

from koordnri.model import Event, NodeState
from koordnri.model.node import Resctrl

OWN = {"node.koordinator.sh/resctrl": {"llc": {"schemata": {"range": [20, 80]}}}}


def node_with(*groups):
    return NodeState(resctrl=Resctrl("intel", 0xFF, 8, (0, 1), frozenset(groups)))


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
    decision = run(RDT(), context(pod("LS", annotations=OWN), node=node_with("LS", "koordlet-uid-1"), policy=DEFAULT))
    assert values(decision) == {"rdt.closid": "koordlet-uid-1"}


@pytest.mark.parametrize(
    ("one", "node", "policy", "reason"),
    [
        pytest.param(pod("LS"), NODE, DEFAULT, "resource-qos-config.lsClass.resctrlQOS is not enabled", id="disabled"),
        pytest.param(
            pod("LSE"), NODE, ONLY_BE, "resource-qos-config.lsrClass.resctrlQOS is not enabled", id="other-class"
        ),
        pytest.param(pod("LS"), NodeState(), ENABLED, "the node has no resctrl", id="no-resctrl"),
        pytest.param(
            pod("LS"),
            node_with("LSR", "BE"),
            ENABLED,
            "resctrl group LS does not exist, and a container that names it would not start",
            id="missing-group",
        ),
        pytest.param(pod("SYSTEM"), NODE, ENABLED, "SYSTEM pods stay in the root group", id="SYSTEM"),
        pytest.param(
            pod("LS", annotations=OWN),
            NODE,
            ENABLED,
            "resctrl group koordlet-uid-1 does not exist, and a container that names it would not start",
            id="own-group-missing-never-the-class's",
        ),
    ],
)
def test_a_container_that_is_not_moved_says_why(one, node, policy, reason):
    decision = run(RDT(), context(one, node=node, policy=policy))
    assert decision.settings == {}
    assert decision.skipped == {"rdt.closid": reason}


@pytest.mark.parametrize("event", [Event.UPDATE, Event.SYNC])
def test_a_running_container_cannot_be_moved_this_way(event):
    decision = run(RDT(), context(pod("LS"), node=NODE, policy=ENABLED, event=event))
    assert decision.settings == {}
    assert "restart the pod" in decision.skipped["rdt.closid"]
