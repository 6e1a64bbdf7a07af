"""Hook blkio: pods' and classes' blocks become io.max and io.weight of cgroup v2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.blkio import NO_LABEL, BlockIO
from one_hook import BESTEFFORT, BURSTABLE, GUARANTEED, context, faults, pod, policy_of, run, values

from koordnri.model import NodeState

KEY = "koordinator.sh/blkioQOS"
DEFAULT = policy_of()


def block(name="/dev/sdb", kind="device", **io):
    return {"name": name, "type": kind, "ioCfg": io}


def own(*blocks):
    return {KEY: {"blocks": list(blocks)}}


def be_class(*blocks, enable=True):
    return policy_of(
        resource_qos_config={"clusterStrategy": {"beClass": {"blkioQOS": {"enable": enable, "blocks": list(blocks)}}}}
    )


@pytest.mark.parametrize(
    ("io", "expected"),
    [
        pytest.param({"readIOPS": 100}, {"io.max[/dev/sdb]": "rbps=max wbps=max riops=100 wiops=max"}, id="read-IOPS"),
        pytest.param(
            {"readBPS": 1 << 20, "writeBPS": "2Mi", "readIOPS": 3, "writeIOPS": 4},
            {"io.max[/dev/sdb]": "rbps=1048576 wbps=2097152 riops=3 wiops=4"},
            id="all-four",
        ),
        pytest.param(
            {"readBPS": 0, "writeBPS": 5},
            {"io.max[/dev/sdb]": "rbps=max wbps=5 riops=max wiops=max"},
            id="0-is-no-limit",
        ),
        pytest.param({"ioWeightPercent": 60}, {"io.weight[/dev/sdb]": 60}, id="weight"),
        pytest.param({"ioWeightPercent": 100}, {}, id="neutral-weight"),
        pytest.param({"readBPS": 0, "writeIOPS": 0}, {}, id="no-limit-at-all"),
        pytest.param({}, {}, id="empty"),
        pytest.param(
            {"ioWeightPercent": 1, "writeIOPS": 7},
            {"io.max[/dev/sdb]": "rbps=max wbps=max riops=max wiops=7", "io.weight[/dev/sdb]": 1},
            id="both",
        ),
    ],
)
def test_a_block_of_the_pod_becomes_io_max_and_io_weight(io, expected):
    decision = run(BlockIO(), context(pod("LS", annotations=own(block(**io)))))
    assert values(decision) == expected
    assert (decision.skipped, decision.errors) == ({}, [])


@pytest.mark.parametrize("qos", ["LSE", "LSR", "LS", "BE", "SYSTEM"])
def test_any_QoS_label_makes_the_annotation_count(qos):
    decision = run(BlockIO(), context(pod(qos, annotations=own(block(ioWeightPercent=10)))))
    assert values(decision) == {"io.weight[/dev/sdb]": 10}


def test_without_a_label_the_annotation_does_not_count_and_that_is_said():
    decision = run(BlockIO(), context(pod(annotations=own(block(ioWeightPercent=10)))))
    assert values(decision) == {}
    assert decision.skipped == {"blkio": NO_LABEL}


@pytest.mark.parametrize(
    ("qos", "parent", "policy", "hit"),
    [
        ("BE", BESTEFFORT, be_class(block(ioWeightPercent=10)), True),
        pytest.param("", BESTEFFORT, be_class(block(ioWeightPercent=10)), True, id="unlabelled-BestEffort"),
        pytest.param("BE", BESTEFFORT, be_class(block(ioWeightPercent=10), enable=False), False, id="disabled"),
        ("LS", BURSTABLE, be_class(block(ioWeightPercent=10)), False),
        pytest.param("", GUARANTEED, be_class(block(ioWeightPercent=10)), False, id="unlabelled-Guaranteed"),
    ],
)
def test_blocks_of_the_class_count_for_BE(qos, parent, policy, hit):
    decision = run(BlockIO(), context(pod(qos, parent), policy=policy))
    assert values(decision) == ({"io.weight[/dev/sdb]": 10} if hit else {})


def test_the_pods_own_block_wins_over_the_class_device_by_device():
    policy = be_class(block("/dev/sda", readIOPS=1), block("/dev/sdb", readIOPS=2), block("/dev/sdc", readIOPS=3))
    one = pod("BE", BESTEFFORT, own(block("/dev/sdb", writeIOPS=9), block("/dev/sdc")))
    decision = run(BlockIO(), context(one, policy=policy))
    assert values(decision) == {
        "io.max[/dev/sda]": "rbps=max wbps=max riops=1 wiops=max",
        "io.max[/dev/sdb]": "rbps=max wbps=max riops=max wiops=9",
    }


def test_a_device_that_the_node_lacks_costs_its_own_block_only():
    node = NodeState(block_devices={"/dev/sda": "8:0"})
    policy = be_class(block("/dev/sda", readIOPS=1), block("/dev/sdy", readIOPS=2))
    decision = run(BlockIO(), context(pod("BE", BESTEFFORT, own(block("/dev/sdz"))), node=node, policy=policy))
    assert values(decision) == {"io.max[/dev/sda]": "rbps=max wbps=max riops=1 wiops=max"}
    assert faults(decision) == [
        (
            "node",
            "resource-qos-config.beClass.blkioQOS.blocks[/dev/sdy]: expected a block device of the node, got /dev/sdy",
        ),
        ("pod", f"annotation {KEY}: blocks[/dev/sdz]: expected a block device of the node, got /dev/sdz"),
    ]


@pytest.mark.parametrize("kind", ["volumegroup", "podvolume"])
def test_volumes_are_said_to_be_unsupported(kind):
    decision = run(BlockIO(), context(pod("LS", annotations=own(block("data", kind, readIOPS=5), block(readIOPS=5)))))
    assert list(values(decision)) == ["io.max[/dev/sdb]"]
    assert decision.skipped == {
        "io.max[data]": f"blocks of type {kind} are not supported yet: name the disk, with type device"
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"blocks": [', "broken JSON"),
        ({"blocks": [{"name": ""}]}, "blocks[0].name: expected text that is not empty"),
        ({"blocks": [block(), block(ioWeightPercent=0)]}, "blocks[1].ioCfg.ioWeightPercent: expected 1..100, got 0"),
        ({"blocks": [block(readIOPS=-1)]}, "blocks[0].ioCfg.readIOPS: expected at least 0, got -1"),
        ({"blocks": [block(kind="tape")]}, "blocks[0].type: expected device, volumegroup or podvolume"),
    ],
)
def test_a_bad_annotation_leaves_what_the_class_asks_for(text, problem):
    policy = be_class(block("/dev/sda", readIOPS=1))
    decision = run(BlockIO(), context(pod("BE", BESTEFFORT, {KEY: text}), policy=policy))
    assert list(values(decision)) == ["io.max[/dev/sda]"]
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert message.startswith(f"annotation {KEY}: ")
    assert problem in message


def test_cgroup_v1_and_a_kernel_without_weights_refuse_what_they_lack():
    one = pod("LS", annotations=own(block(readIOPS=5, ioWeightPercent=50)))
    v1 = run(BlockIO(), context(one, node=NodeState(cgroup_version=1)))
    assert (v1.settings, v1.skipped) == (
        {},
        {"io.max[/dev/sdb]": "cgroup v1 has no io.max", "io.weight[/dev/sdb]": "cgroup v1 has no io.weight"},
    )
    no_weight = run(BlockIO(), context(one, node=NodeState(cgroup_files=frozenset({"io.max"}))))
    assert list(values(no_weight)) == ["io.max[/dev/sdb]"]
    assert no_weight.skipped == {"io.weight[/dev/sdb]": "this kernel has no io.weight or io.bfq.weight"}


@pytest.mark.parametrize(
    ("names", "qos", "parent", "expected"),
    [
        ({"be": "slow"}, "BE", BESTEFFORT, "slow"),
        ({"be": "slow"}, "", BESTEFFORT, "slow"),
        ({"be": "slow"}, "LS", BURSTABLE, None),
        ({"lsr": "fast"}, "LSE", GUARANTEED, "fast"),
        ({"system": "own"}, "SYSTEM", BURSTABLE, "own"),
        ({}, "BE", BESTEFFORT, None),
    ],
)
def test_a_block_io_class_is_set_only_where_the_policy_names_one(names, qos, parent, expected):
    policy = policy_of(koordnri_config={"hooks": {"blkio": {"className": names}}})
    decision = run(BlockIO(), context(pod(qos, parent), policy=policy))
    assert values(decision) == ({} if expected is None else {"blockio.class": expected})


limits = st.fixed_dictionaries(
    {}, optional={n: st.integers(0, 2**40) for n in ("readIOPS", "writeIOPS", "readBPS", "writeBPS")}
)


@given(st.dictionaries(st.sampled_from(["/dev/sda", "/dev/sdb", "/dev/sdc"]), limits))
def test_deciding_again_gives_the_same_and_every_line_says_all_four_limits(blocks):
    one = pod("LS", annotations=own(*(block(name, **io) for name, io in blocks.items())))
    first, again = (run(BlockIO(), context(one)) for _ in range(2))
    assert first.settings == again.settings
    for name, io in blocks.items():
        line = values(first).get(f"io.max[{name}]")
        assert (line is not None) == any(io.values())
        if line is not None:
            said = dict(part.split("=") for part in line.split())
            keys = {"rbps": "readBPS", "wbps": "writeBPS", "riops": "readIOPS", "wiops": "writeIOPS"}
            assert said == {k: str(io.get(long) or "max") for k, long in keys.items()}
