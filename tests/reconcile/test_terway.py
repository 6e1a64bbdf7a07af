"""Bandwidths for terway: the texts of its files, when they are written, healed and given back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from koordnri.chain import Snapshot
from koordnri.host.terway import DIRECTORY, TerwayFiles
from koordnri.model import NodeState
from koordnri.model.annotations import NETWORK_QOS_KEY
from koordnri.policy import DEFAULT_POLICY, Policy
from koordnri.reconcile.terway import NODE, PODS, Terway, node_text, pods_text
from koordnri.state.files import TerwayOriginals
from tests.support.pods import BESTEFFORT, GUARANTEED, pod
from tests.support.policies import policy_of

FREE = NodeState(writes=frozenset({"terway"}))


def policy(total: str = "80M", mode: str = "enforce", **classes: Any) -> Policy:
    return policy_of(
        system_config={"clusterStrategy": {"totalNetworkBandwidth": total}},
        resource_qos_config={"clusterStrategy": {"policies": {"netQOSPolicy": "terway-qos"}, **classes}},
        koordnri_config={"clusterStrategy": {"hooks": {"network": {"mode": mode}}}},
    )


ON = policy()


def network(**shares: Any) -> dict[str, Any]:
    return {"networkQOS": {"enable": True, **shares}}


def test_the_node_has_a_line_for_each_bandwidth_in_bytes() -> None:
    classes = {
        "lsClass": network(ingressRequest=50, ingressLimit=100, egressRequest=40, egressLimit=90),
        "beClass": network(ingressRequest=20, ingressLimit=30, egressRequest=10, egressLimit=60),
    }
    assert node_text(Snapshot.of(policy(**classes), FREE)) == (
        "hw_tx_bps_max 10000000\n"
        "hw_rx_bps_max 10000000\n"
        "offline_l1_tx_bps_min 4000000\n"
        "offline_l1_tx_bps_max 9000000\n"
        "offline_l1_rx_bps_min 5000000\n"
        "offline_l1_rx_bps_max 10000000\n"
        "offline_l2_tx_bps_min 1000000\n"
        "offline_l2_tx_bps_max 6000000\n"
        "offline_l2_rx_bps_min 2000000\n"
        "offline_l2_rx_bps_max 3000000\n"
    )


def test_quantities_are_bits_and_a_class_that_is_not_enabled_has_none() -> None:
    classes = {"lsClass": network(egressLimit="16M"), "beClass": {"networkQOS": {"egressLimit": "8M"}}}
    lines = dict(line.split() for line in node_text(Snapshot.of(policy("0", **classes), FREE)).splitlines())
    assert {name: int(value) for name, value in lines.items() if value != "0"} == {"offline_l1_tx_bps_max": 2_000_000}


@pytest.mark.parametrize("text", ['"1e20"', '"9223372036854775808"', '"99999E"'])
def test_a_pod_cannot_make_the_file_of_all_pods_unreadable_by_a_number_that_is_too_large(text: str) -> None:
    one = pod("LS", annotations={NETWORK_QOS_KEY: f'{{"egressLimit": {text}}}'})
    found = json.loads(pods_text(Snapshot.of(ON, FREE), [one]))
    assert found[one.uid]["qosConfig"] == {"ingressBandwidth": 0, "egressBandwidth": 0}


def test_a_pod_has_its_priority_cgroup_and_limits() -> None:
    limits = {NETWORK_QOS_KEY: '{"ingressLimit": "10M", "egressLimit": 50}'}
    one = pod("LS", annotations=limits, name="web")
    found = json.loads(pods_text(Snapshot.of(ON, FREE), [one]))
    assert found == {
        one.uid: {
            "podName": "web",
            "podNamespace": one.namespace,
            "podUID": one.uid,
            "prio": 1,
            "cgroupDir": f"/sys/fs/cgroup/net_cls{one.cgroup_parent}",
            "qosConfig": {"ingressBandwidth": 1_250_000, "egressBandwidth": 5_000_000},
        }
    }


@pytest.mark.parametrize(
    ("qos", "parent", "priority"),
    [
        ("SYSTEM", GUARANTEED, 0),
        ("LSE", GUARANTEED, 1),
        ("BE", GUARANTEED, 2),
        ("", GUARANTEED, 1),
        ("", BESTEFFORT, 2),
    ],
)
def test_the_priority_goes_by_the_label_else_by_kubernetes_class(qos: str, parent: str, priority: int) -> None:
    [found] = json.loads(pods_text(Snapshot.of(ON, FREE), [pod(qos, parent)])).values()
    assert found["prio"] == priority


def test_a_bad_annotation_costs_the_limits_alone_and_a_pod_without_a_cgroup_is_left_out() -> None:
    bad, lost = pod("LS", annotations={NETWORK_QOS_KEY: "{"}, name="bad"), pod("LS", "", name="lost")
    [found] = json.loads(pods_text(Snapshot.of(ON, FREE), [bad, lost])).values()
    assert (found["podName"], found["qosConfig"]) == ("bad", {"ingressBandwidth": 0, "egressBandwidth": 0})


def test_pods_that_are_left_alone_are_not_listed() -> None:
    released = replace(FREE, released=frozenset({pod().id}))
    assert pods_text(Snapshot.of(ON, released), [pod()]) == "{}"


class Machine:
    def __init__(self, root: Path) -> None:
        self.root, self.directory = root, root / DIRECTORY
        (root / "state").mkdir()
        self.log: Any = CapturingLogger()
        self.start()

    def start(self) -> None:
        """The daemon, which finds what its predecessor saved."""
        on_disk = TerwayOriginals(self.root / "state", self.log)
        self.terway = Terway(TerwayFiles(self.root), on_disk.load(), on_disk.save, self.log)

    def follow(self, policy: Policy = ON, node: NodeState = FREE) -> None:
        self.terway.follow(Snapshot.of(policy, node), [pod("LS")])

    def names(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()} if self.directory.exists() else set()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


OTHERS = (DEFAULT_POLICY, policy(mode="observe"), policy(mode="off"))


@pytest.mark.parametrize("other", OTHERS)
def test_the_files_are_there_as_long_as_the_policy_says_so_also_for_the_next_daemon(
    machine: Machine, other: Policy
) -> None:
    machine.follow(other)
    assert machine.names() == set()
    machine.follow()
    assert machine.names() == {NODE, PODS}
    machine.start()
    machine.follow(other)
    assert machine.names() == set()


@pytest.mark.parametrize("node", [NodeState(), replace(FREE, released=frozenset("*"))])
def test_without_the_right_and_after_a_release_of_all_there_are_none(machine: Machine, node: NodeState) -> None:
    machine.follow(node=node)
    assert machine.names() == set()
    machine.follow()
    machine.follow(node=node)
    assert machine.names() == set()


def test_what_the_nodes_file_held_before_is_given_back_and_the_pods_are_not(machine: Machine) -> None:
    machine.directory.mkdir(parents=True)
    (machine.directory / NODE).write_text("hw_tx_bps_max 5\n")
    (machine.directory / PODS).write_text("{}")
    machine.follow()
    machine.start()
    machine.follow()
    machine.follow(DEFAULT_POLICY)
    assert machine.names() == {NODE}
    assert (machine.directory / NODE).read_text() == "hw_tx_bps_max 5\n"


def test_a_foreign_write_is_healed_and_a_right_file_is_not_touched(machine: Machine) -> None:
    machine.follow()
    node, pods = machine.directory / NODE, machine.directory / PODS
    text, number = node.read_text(), pods.stat().st_ino
    node.write_text("nonsense")
    machine.follow()
    assert node.read_text() == text
    assert pods.stat().st_ino == number


def test_a_directory_that_cannot_be_made_is_reported_once(machine: Machine) -> None:
    (machine.root / "var").write_text("a file")
    machine.follow()
    machine.follow()
    assert [call.args for call in machine.log.calls if call.method_name == "warning"] == [("terway_files",)]
