"""Which disks a block names: devices, LVM groups, volumes of the pod; and what is reported when it names none."""

from __future__ import annotations

import pytest
from koordnri_hooks.blkio import BlockIO
from koordnri_hooks.block_disks import DESCRIBED, MOVED, NO_SPEC, NOT_CREATED, NOT_MOUNTED

from tests.hooks.blocks import (
    KEY,
    PATH,
    V2,
    blkio_of,
    block,
    claiming,
    of_class,
    of_container,
    of_pod,
    of_root,
    own,
)
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import pod


@pytest.mark.parametrize(
    ("name", "kind", "disks"),
    [
        ("/dev/sda", "device", ["/dev/sda"]),
        pytest.param("/dev/sda1", "device", ["/dev/sda"], id="a-partition-is-its-disk"),
        ("data", "volumegroup", ["/dev/sdb", "/dev/sdc"]),
        ("pv-1", "podvolume", ["/dev/sdb"]),
        ("scratch", "podvolume", ["/dev/sda"]),
    ],
)
def test_a_block_is_resolved_to_its_disks(name, kind, disks):
    limit = "rbps=max wbps=max riops=5 wiops=max"
    expected = {f"io.max[{disk}]": limit for disk in disks}
    assert values(of_pod(block(name, kind, readIOPS=5), node=V2)) == expected
    created = of_container(block(name, kind, readIOPS=5), node=V2)
    assert values(created) == expected
    assert [s.route for s in created.settings.values()] == ["adjust", "write"][: len(disks)], "NRI carries one disk"


@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("/dev/sdz", "device", "expected a block device of the node, got /dev/sdz"),
        ("data", "device", "expected a block device of the node, got data"),
        ("slow", "volumegroup", "expected an LVM volume group of the node with a volume, got slow"),
    ],
)
def test_a_block_that_names_no_disk_costs_itself_only(name, kind, problem):
    for decision in (
        of_pod(block(name, kind, readIOPS=1), block("/dev/sda", readIOPS=2), node=V2),
        of_container(block(name, kind, readIOPS=1), block("/dev/sda", readIOPS=2), node=V2),
    ):
        assert values(decision) == {"io.max[/dev/sda]": "rbps=max wbps=max riops=2 wiops=max"}
        assert faults(decision) == [("pod", f"annotation {KEY}: blocks[{name}]: {problem}")]


def test_a_device_of_the_policy_that_this_node_lacks_is_the_nodes_fault():
    policy = blkio_of("beClass", block("/dev/sda", readIOPS=1), block("/dev/sdy", readIOPS=2))
    decision = of_class(policy, node=V2)
    assert values(decision) == {"io.max[/dev/sda]": "rbps=max wbps=max riops=1 wiops=max"}
    assert faults(decision) == [("node", f"{PATH}.blocks[/dev/sdy]: expected a block device of the node, got /dev/sdy")]
    [(fault, message)] = faults(of_root(block("/dev/sdy"), node=V2))
    assert (fault, message.partition(".blocks")[0]) == ("node", "resource-qos-config.cgroupRoot.blkioQOS")


def test_a_class_has_no_volumes():
    [(fault, message)] = faults(of_class(blkio_of("beClass", block("pv-1", "podvolume", readIOPS=1)), node=V2))
    assert (fault, message.partition("]: ")[2]) == (
        "node",
        "expected type device or volumegroup, got podvolume: this is no pod's",
    )


def test_a_pod_whose_volumes_are_not_known_yet_waits_without_an_error():
    other = pod("LS", annotations=own(block("pv-1", "podvolume", readIOPS=1)))
    other.uid = "uid-3"
    decision = run_pod(BlockIO(), other, V2)
    assert (values(decision), decision.errors, decision.skipped) == ({}, (), {"blkio[pv-1]": NOT_MOUNTED})


@pytest.mark.parametrize(
    ("given", "disks"),
    [
        pytest.param({"main": {"/data": "pv-1"}}, ["/dev/sdb"], id="a-file-system"),
        pytest.param({"main": {"/data": "8:1"}}, ["/dev/sda"], id="a-partition-as-a-block-device"),
        pytest.param({"main": {"/data": "253:0"}}, ["/dev/sdb", "/dev/sdc"], id="a-logical-volume-as-a-block-device"),
        pytest.param({"init": {"/d": "pv-1"}}, ["/dev/sdb"], id="reported-by-another-container"),
        pytest.param({"init": {"/d": "pv-1"}, "main": {"/data": "pv-1"}}, ["/dev/sdb"], id="reported-twice"),
    ],
)
def test_a_volume_behind_a_claim_is_found_by_the_pods_name_of_it(given, disks):
    containers = {"init": {"/d": "logs"}, "main": {"/data": "logs", "/other": "other"}}
    one = claiming(containers, given, block("logs", "podvolume", readIOPS=5))
    expected = {f"io.max[{disk}]": "rbps=max wbps=max riops=5 wiops=max" for disk in disks}
    for decision in (run_pod(BlockIO(), one, V2), run(BlockIO(), context(one, node=V2))):
        assert values(decision) == expected
        assert (decision.skipped, decision.errors) == ({}, ())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param({}, NOT_CREATED, id="no-container-yet"),
        pytest.param({"main": {"/other": "pv-1"}}, NOT_CREATED, id="nothing-at-its-path"),
        pytest.param({"main": {"/data": "pv-1"}, "init": {"/d": "8:0"}}, MOVED, id="not-guessed"),
        pytest.param(
            {"main": {"/data": "pv-9"}},
            "pv-9, which is behind it, is not known to lie on a disk of the node (yet)",
            id="no-disk",
        ),
        pytest.param(
            {"main": {"/data": "1:3"}},
            "1:3, which is behind it, is not known to lie on a disk of the node (yet)",
            id="no-block-device-of-the-node",
        ),
    ],
)
def test_a_volume_whose_disk_is_not_known_yet_waits_and_says_for_what(given, reason):
    containers = {"init": {"/d": "logs"}, "main": {"/data": "logs"}}
    blocks = block("logs", "podvolume", readIOPS=5), block("/dev/sda", readIOPS=2)
    decision = run_pod(BlockIO(), claiming(containers, given, *blocks), V2)
    assert list(values(decision)) == ["io.max[/dev/sda]"]
    assert (decision.skipped, decision.errors) == ({"blkio[logs]": reason}, ())


def test_the_pods_own_name_of_a_volume_comes_before_a_PersistentVolumes():
    containers = {"main": {"/data": "pv-1", "/logs": "logs"}}
    blocks = [block("pv-1", "podvolume", readIOPS=5)]
    waiting = run_pod(BlockIO(), claiming(containers, {}, *blocks), V2)
    assert (values(waiting), waiting.skipped) == ({}, {"blkio[pv-1]": NOT_CREATED})
    reported = run_pod(BlockIO(), claiming(containers, {"main": {"/data": "scratch", "/logs": "pv-1"}}, *blocks), V2)
    assert list(values(reported)) == ["io.max[/dev/sda]"]
    other = run_pod(BlockIO(), claiming({"main": {"/logs": "logs"}}, {}, *blocks), V2)
    assert list(values(other)) == ["io.max[/dev/sdb]"], "a PersistentVolume's name goes on to serve"


def test_a_name_that_nothing_has_is_the_pods_fault_only_when_its_spec_is_known():
    blocks = block("claim", "podvolume", readIOPS=1), block("/dev/sda", readIOPS=2)
    unknown = of_pod(*blocks, node=V2)
    assert list(values(unknown)) == ["io.max[/dev/sda]"]
    assert (unknown.errors, list(unknown.skipped)) == ((), ["blkio[claim]"])
    assert "(pv-1, scratch are on disks)" in unknown.skipped["blkio[claim]"]
    assert unknown.skipped["blkio[claim]"].endswith(NO_SPEC)
    known = run_pod(BlockIO(), claiming({"main": {"/data": "logs"}}, {}, *blocks), V2)
    assert list(values(known)) == ["io.max[/dev/sda]"]
    problem = "expected a volume of the pod on a disk, as the pod or kubelet calls it (logs, pv-1, scratch), got claim"
    assert faults(known) == [("pod", f"annotation {KEY}: blocks[claim]: {problem}")]


@pytest.mark.parametrize("kind", ["volumegroup", "podvolume"])
def test_a_described_node_has_every_device_and_no_known_volumes(kind):
    decision = of_pod(block("data", kind, readIOPS=5), block(readIOPS=5))
    assert list(values(decision)) == ["io.max[/dev/sdb]"]
    assert (decision.errors, decision.skipped) == ((), {"blkio[data]": DESCRIBED})


def test_of_contradicting_blocks_for_one_disk_the_first_stands():
    decision = of_pod(
        block("/dev/sda", readIOPS=1),
        block("/dev/sda1", readIOPS=2),
        block("/dev/sda", readIOPS=1),
        block("data", "volumegroup", readIOPS=3),
        block("/dev/sdc", readIOPS=4),
        node=V2,
    )
    assert {name: text.split()[2] for name, text in values(decision).items()} == {
        "io.max[/dev/sda]": "riops=1",
        "io.max[/dev/sdb]": "riops=3",
        "io.max[/dev/sdc]": "riops=3",
    }
    assert [message.partition(": ")[2] for _, message in faults(decision)] == [
        "blocks[/dev/sda1]: expected one block for /dev/sda, got another; that of /dev/sda stands",
        "blocks[/dev/sdc]: expected one block for /dev/sdc, got another; that of data stands",
    ]


def test_a_group_that_contradicts_leaves_none_of_its_disks_taken():
    decision = of_pod(
        block("/dev/sdc", readIOPS=1), block("data", "volumegroup", readIOPS=2), block("/dev/sdb", readIOPS=3), node=V2
    )
    assert {name: text.split()[2] for name, text in values(decision).items()} == {
        "io.max[/dev/sdc]": "riops=1",
        "io.max[/dev/sdb]": "riops=3",
    }
    assert len(decision.errors) == 1
