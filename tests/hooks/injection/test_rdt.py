"""Cache and memory bandwidth through the runtime, by annotation."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.rdt import RDT

from koordnri.hook import Hook
from koordnri.model import NodeState, injection
from koordnri.model.decision import Decision
from koordnri.model.node import Resctrl
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import EVERYBODY, decide, sent, shown
from tests.hooks.one_hook import context, faults, run
from tests.support.pods import pod

CLOSID, SCHEMATA, MONITORING = (
    f"{kind.keys[0]}/container.main"
    for kind in (injection.RDT_CLOSID, injection.RDT_SCHEMATA, injection.RDT_MONITORING)
)
NODE = NodeState(resctrl=Resctrl("intel", 0xFFF, 16, (0,), frozenset({"gold"})))


def given(annotations: dict[str, Any], before: tuple[Hook, ...] = ()) -> Decision:
    return decide(annotations, node=NODE, before=before)


def test_group_schemata_and_monitoring_are_sent() -> None:
    decision = given({CLOSID: "gold", SCHEMATA: "L3:0=ff,MB:0=50", MONITORING: "T"})
    assert shown(decision) == {
        "injected.rdt[closid]": "gold",
        "injected.rdt[schemata]": "L3:0=ff,MB:0=50",
        "injected.rdt[monitoring]": "true",
    }
    rdt = {
        "clos_id": {"value": "gold"},
        "schemata": {"value": ["L3:0=ff", "MB:0=50"]},
        "enable_monitoring": {"value": True},
    }
    assert sent(decision) == api.ContainerAdjustment(linux={"rdt": rdt})


@pytest.mark.parametrize(("key", "text"), [(CLOSID, ""), (CLOSID, "a/b"), (SCHEMATA, "L3"), (MONITORING, "yes")])
def test_what_resctrl_does_not_take_is_named(key: str, text: str) -> None:
    ((fault, message),) = faults(given({key: text}))
    assert fault == "pod"
    assert message.startswith(f"annotation {key}: expected ")


@pytest.mark.parametrize(("key", "text"), [(CLOSID, "a/b"), (SCHEMATA, "L3"), (MONITORING, "yes")])
def test_a_mistake_in_one_of_the_three_costs_all_of_them(key: str, text: str) -> None:
    """A schemata without its group, or a group without its schemata, is not what the pod's owner wanted."""
    decision = given({CLOSID: "gold", SCHEMATA: "L3:0=ff", MONITORING: "true", key: text})
    assert not decision.settings
    assert len(faults(decision)) == 1


def test_a_node_without_resctrl_is_an_error_and_not_a_failed_container() -> None:
    decision = decide({CLOSID: "gold"})
    assert not decision.settings
    assert faults(decision)[0][0] == "node"


def test_the_hook_rdt_leaves_such_a_container_alone() -> None:
    decision = given({CLOSID: "gold"}, before=(RDT(),))
    assert list(decision.settings) == ["injected.rdt[closid]"]
    assert decision.skipped == {"rdt.closid": f"left to the runtime by annotation {CLOSID}"}
    neighbour = run(RDT(), context(pod(annotations={CLOSID: "gold"}), node=NODE, policy=EVERYBODY, name="other"))
    assert "left to the runtime" not in neighbour.skipped["rdt.closid"]
