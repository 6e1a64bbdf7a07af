"""What tenants could take from others by annotations and labels, decided by all hooks: refused by default, given by rule, with reasons."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.model import Container, Event, NodeState, Pod, Resources
from koordnri.model.node import Pool, Resctrl
from koordnri.model.schemata import Cache, MemoryBandwidth
from koordnri.model.topology import Topology
from tests.support.pods import BURSTABLE, pod
from tests.support.policies import policy_of

RESCTRL, BLKIO = "node.koordinator.sh/resctrl", "koordinator.sh/blkioQOS"
OWN_GROUP = {RESCTRL: {"llc": {"schemata": {"range": [0, 100]}}}}
TARGET = {BLKIO: {"blocks": [{"name": "/dev/sda", "ioCfg": {"ioLatencyTarget": 1, "readBPS": 9}}]}}
NODE = NodeState(
    topology=Topology.regular(1, 1, 4, 2),
    system_cpus="0-1",
    ls_pools=(Pool(0, 0, "2-7"),),
    block_devices={"/dev/sda": "8:0"},
    resctrl=Resctrl(
        "intel", 0xFF, 8, (0,), frozenset({"LS", "koordlet-uid-web"}), (Cache("L3", 0xFF, (0,)),), MemoryBandwidth((0,))
    ),
)


class Decided:
    """A pod of the namespace shop under these trust rules."""

    def __init__(self, one: Pod, **trust: Any) -> None:
        policy = policy_of(
            resource_qos_config={"clusterStrategy": {"lsClass": {"resctrlQOS": {"enable": True}}}},
            koordnri_config={"clusterStrategy": {"trust": trust}},
        )
        snapshot = Snapshot.of(policy, NODE)
        self.believed = snapshot.believed(one)
        container = Container("c1", "main", one.id, Resources())
        chain = Chain(load_hooks())
        self.container = chain.decide_container(self.believed, container, Event.CREATE, snapshot)
        self.pod = chain.decide_pod(self.believed, snapshot, [container])
        assert not self.container.errors
        assert not self.pod.errors

    def container_value(self, field: str) -> tuple[Any, str]:
        setting = self.container.settings.get(field)
        return (None, str(self.container.skipped[field])) if setting is None else (setting.value, setting.reason)


def shop(rule: str) -> dict[str, Any]:
    return {rule: {"namespaces": ["shop"]}}


@pytest.mark.parametrize(
    ("trust", "group"), [({}, "LS"), (shop("resctrl"), "koordlet-uid-web"), ({"mode": "off"}, "koordlet-uid-web")]
)
def test_a_pods_own_resctrl_group(trust: dict[str, Any], group: str) -> None:
    decided = Decided(pod("LS", BURSTABLE, OWN_GROUP), **trust)
    value, reason = decided.container_value("rdt.closid")
    assert value == group
    if trust.get("mode") != "off":
        assert ("not believed: nobody whom koordnri-config.trust.resctrl lists" in reason) == (group == "LS")
        assert ("namespace shop is listed" in reason) != (group == "LS")


@pytest.mark.parametrize(("trust", "cpus", "group"), [({}, "2-7", "LS"), (shop("systemClass"), "0-1", None)])
def test_the_label_SYSTEM(trust: dict[str, Any], cpus: str, group: str | None) -> None:
    decided = Decided(pod("SYSTEM", BURSTABLE), **trust)
    value, reason = decided.container_value("cpu.cpus")
    assert value == cpus
    assert ("label koordinator.sh/qosClass: SYSTEM not believed" in reason) == (cpus == "2-7")
    value, reason = decided.container_value("rdt.closid")
    assert value == group
    assert "label koordinator.sh/qosClass: SYSTEM" in reason


@pytest.mark.parametrize(("trust", "given"), [({}, False), (shop("ioLatency"), True)])
def test_a_latency_target_that_slows_the_neighbours(trust: dict[str, Any], given: bool) -> None:
    decided = Decided(pod("LS", BURSTABLE, TARGET), **trust)
    assert decided.pod.settings["io.max[/dev/sda]"].value == "rbps=9 wbps=max riops=max wiops=max"
    assert ("io.latency[/dev/sda]" in decided.pod.settings) == given
    if not given:
        assert "ioLatencyTarget in annotation koordinator.sh/blkioQOS not believed" in decided.pod.skipped["io.latency"]


def test_cost_control_of_a_disk_is_not_a_pods_to_set() -> None:
    blocks = [
        {
            "name": "/dev/sda",
            "ioCfg": {"readLatency": 1, "readLatencyPercent": 1, "enableUserModel": True, "modelReadBPS": 1},
        }
    ]
    decided = Decided(pod("LS", BURSTABLE, {BLKIO: {"blocks": blocks}}), mode="off")
    assert not [
        name for decision in (decided.pod, decided.container) for name in decision.settings if name.startswith("io.")
    ]
