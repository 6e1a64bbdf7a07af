"""Hook blkio: blocks of the pod, of beClass and of the root become limits, weights and cost control of disks, on v1 and v2."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.blkio import MOST_ERRORS, NO_LABEL, BlockIO

from koordnri.model import AnnotationError, Event, KubeQoS, NodeState
from koordnri.policy import DEFAULT_POLICY
from koordnri.policy.effects import without_effect
from tests.hooks.blocks import (
    ANOLIS,
    BFQ,
    KEY,
    V2,
    blkio_of,
    block,
    claiming,
    of_class,
    of_container,
    of_pod,
    of_root,
    own,
    v1,
)
from tests.hooks.one_hook import NODE, context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod
from tests.support.policies import policy_of

# -- what a block becomes ---------------------------------------------------------------------------------------------

BLOCKS_V2 = [
    pytest.param({"readIOPS": 100}, {"io.max[/dev/sdb]": "rbps=max wbps=max riops=100 wiops=max"}, id="read-IOPS"),
    pytest.param(
        {"readBPS": 1 << 20, "writeBPS": "2Mi", "readIOPS": 3, "writeIOPS": 4},
        {"io.max[/dev/sdb]": "rbps=1048576 wbps=2097152 riops=3 wiops=4"},
        id="all-four",
    ),
    pytest.param(
        {"readBPS": 0, "writeBPS": 5}, {"io.max[/dev/sdb]": "rbps=max wbps=5 riops=max wiops=max"}, id="0-is-no-limit"
    ),
    pytest.param(
        {"readIOPS": 2**32, "writeIOPS": 2**32 - 2},
        {"io.max[/dev/sdb]": "rbps=max wbps=max riops=max wiops=4294967294"},
        id="32-bits-are-no-limit",
    ),
    pytest.param({"ioWeightPercent": 60}, {"io.weight[/dev/sdb]": 60}, id="weight"),
    pytest.param({"ioWeightPercent": 100}, {}, id="neutral-weight"),
    pytest.param({"ioLatencyTarget": 2500}, {"io.latency[/dev/sdb]": "target=2500"}, id="latency"),
    pytest.param({"readLatency": 3000, "writeLatencyPercent": 90}, {}, id="the-root's-latency-is-not-io.latency"),
    pytest.param({"readBPS": 0, "writeIOPS": 0}, {}, id="no-limit-at-all"),
    pytest.param({}, {}, id="empty"),
    pytest.param(
        {"ioWeightPercent": 1, "writeIOPS": 7},
        {"io.max[/dev/sdb]": "rbps=max wbps=max riops=max wiops=7", "io.weight[/dev/sdb]": 1},
        id="both",
    ),
]


@pytest.mark.parametrize(("io", "expected"), BLOCKS_V2)
def test_a_block_of_the_pod_holds_for_the_pods_cgroup(io, expected):
    decision = of_pod(block(**io))
    assert values(decision) == expected
    assert {s.route for s in decision.settings.values()} <= {"write"}
    assert (decision.skipped, decision.errors) == ({}, ())


@pytest.mark.parametrize(("io", "expected"), BLOCKS_V2)
def test_a_block_of_beClass_holds_for_all_BestEffort_pods_together(io, expected):
    assert values(of_class(blkio_of("beClass", block(**io)))) == expected


@pytest.mark.parametrize(("io", "expected"), BLOCKS_V2)
def test_a_container_gets_its_pods_limits_at_once_but_neither_weight_nor_latency(io, expected):
    """Among the containers of a pod they would change nothing, and the kernel may refuse them: then no container starts."""
    decision = of_container(block(**io))
    assert values(decision) == {name: value for name, value in expected.items() if name.startswith("io.max")}
    assert {s.route for s in decision.settings.values()} <= {"adjust"}


@pytest.mark.parametrize(
    ("io", "expected"),
    [
        (
            {"readIOPS": 1, "writeIOPS": 2, "readBPS": 3, "writeBPS": "4k"},
            {"io.read_iops": 1, "io.write_iops": 2, "io.read_bps": 3, "io.write_bps": 4000},
        ),
        ({"readBPS": 5, "writeBPS": 0}, {"io.read_bps": 5}),
        pytest.param({"readIOPS": 2**32, "writeIOPS": 2**32 - 2}, {"io.write_iops": 2**32 - 2}, id="32-bits"),
        ({"ioWeightPercent": 60}, {"io.cost.weight": 60}),
        ({"ioWeightPercent": 100}, {}),
    ],
)
def test_v1_has_a_file_for_each_limit(io, expected):
    expected = {f"{name}[/dev/sdb]": value for name, value in expected.items()}
    assert values(of_pod(block(**io), node=v1())) == expected
    assert values(of_class(blkio_of("beClass", block(**io)), node=v1())) == expected
    assert values(of_container(block(**io), node=v1())) == {}, "NRI carries none of them, and the pod's cgroup serves"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (ANOLIS, {"io.cost.weight[/dev/sdb]": 50}),
        (BFQ, {"io.weight[/dev/sdb]": 50}),
        (ANOLIS | BFQ, {"io.cost.weight[/dev/sdb]": 50, "io.weight[/dev/sdb]": 50}),
        (frozenset(), {}),
    ],
)
def test_v1_weights_go_into_every_file_that_the_kernel_has(files, expected):
    decision = of_pod(block(ioWeightPercent=50), node=v1(files))
    assert values(decision) == expected
    assert decision.skipped == ({} if expected else {"io.cost.weight[/dev/sdb]": "cgroup v1 has no blkio.cost.weight"})


def test_a_kernel_without_a_file_skips_it_with_the_reason():
    no_weight = of_pod(block(readIOPS=5, ioWeightPercent=50), node=NodeState(cgroup_files=frozenset({"io.max"})))
    assert list(values(no_weight)) == ["io.max[/dev/sdb]"]
    assert no_weight.skipped == {"io.weight[/dev/sdb]": "this kernel has no io.weight or io.bfq.weight"}
    nothing = of_pod(block(readIOPS=5, ioLatencyTarget=9), node=v1(frozenset()))
    assert (values(nothing), nothing.skipped) == (
        {},
        {
            "io.read_iops[/dev/sdb]": "cgroup v1 has no blkio.throttle.read_iops_device",
            "io.latency[/dev/sdb]": "cgroup v1 has no io.latency",
        },
    )


# -- cost control at the root -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", [NODE, v1()], ids=["v2", "v1"])
@pytest.mark.parametrize(
    ("io", "qos", "model"),
    [
        ({}, "enable=1 ctrl=user rpct=95 rlat=3000 wpct=95 wlat=3000", "ctrl=auto"),
        (
            {"readLatency": 500, "writeLatency": 0, "readLatencyPercent": 90, "writeLatencyPercent": 0},
            "enable=1 ctrl=user rpct=90 rlat=500 wpct=0 wlat=0",
            "ctrl=auto",
        ),
        (
            {"enableUserModel": True, "modelReadBPS": 1, "modelReadSeqIOPS": 2, "modelReadRandIOPS": 3}
            | {"modelWriteBPS": 4, "modelWriteSeqIOPS": 5, "modelWriteRandIOPS": 6},
            "enable=1 ctrl=user rpct=95 rlat=3000 wpct=95 wlat=3000",
            "ctrl=user rbps=1 rseqiops=2 rrandiops=3 wbps=4 wseqiops=5 wrandiops=6",
        ),
        pytest.param(
            {"enableUserModel": True, "modelWriteBPS": 4},
            "enable=1 ctrl=user rpct=95 rlat=3000 wpct=95 wlat=3000",
            "ctrl=user wbps=4",
            id="what-is-not-given-stays-the-kernels",
        ),
        pytest.param(
            {"modelWriteBPS": 4, "readBPS": 9, "ioWeightPercent": 5, "ioLatencyTarget": 7},
            "enable=1 ctrl=user rpct=95 rlat=3000 wpct=95 wlat=3000",
            "ctrl=auto",
            id="limits-are-not-the-root's",
        ),
    ],
)
def test_a_disk_named_at_the_root_is_under_cost_control(node, io, qos, model):
    decision = of_root(block("/dev/sda", **io), node=node)
    assert values(decision) == {"io.cost.qos[/dev/sda]": qos, "io.cost.model[/dev/sda]": model}
    assert {s.route for s in decision.settings.values()} == {"write"}


def test_the_root_without_cost_control_skips_it_and_disabled_blocks_are_none():
    without = of_root(block(), node=v1(root=frozenset()))
    assert (values(without), without.skipped) == (
        {},
        {
            "io.cost.qos[/dev/sdb]": "cgroup v1 has no io.cost.qos",
            "io.cost.model[/dev/sdb]": "cgroup v1 has no io.cost.model",
        },
    )
    assert values(of_root(block(), enable=False)) == {}


# -- whose blocks count -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", ["LSE", "LSR", "LS", "BE", "SYSTEM"])
def test_any_QoS_label_makes_the_annotation_count(qos):
    assert values(of_pod(block(ioWeightPercent=10), qos=qos)) == {"io.weight[/dev/sdb]": 10}


def test_without_a_label_the_annotation_does_not_count_and_that_is_reported():
    one = pod(annotations=own(block(readIOPS=10)))
    for decision in (run_pod(BlockIO(), one), run(BlockIO(), context(one))):
        assert values(decision) == {}
        assert decision.skipped == {"blkio": NO_LABEL}


@pytest.mark.parametrize(
    ("kube_qos", "policy", "hit"),
    [
        (KubeQoS.BESTEFFORT, blkio_of("beClass", block(readIOPS=10)), True),
        pytest.param(KubeQoS.BESTEFFORT, blkio_of("beClass", block(readIOPS=10), enable=False), False, id="disabled"),
        (KubeQoS.BURSTABLE, blkio_of("beClass", block(readIOPS=10)), False),
        (KubeQoS.GUARANTEED, blkio_of("beClass", block(readIOPS=10)), False),
        (KubeQoS.BURSTABLE, blkio_of("lsClass", block(readIOPS=10)), False),
        (KubeQoS.GUARANTEED, blkio_of("lsrClass", block(readIOPS=10)), False),
        (KubeQoS.BESTEFFORT, DEFAULT_POLICY, False),
    ],
)
def test_only_BE_has_a_cgroup_of_its_own(kube_qos, policy, hit):
    assert bool(values(of_class(policy, kube_qos))) is hit


def test_what_BE_has_together_is_not_set_on_its_pods_and_containers_again():
    one, policy = pod("BE", BESTEFFORT), blkio_of("beClass", block(readIOPS=10))
    assert values(run(BlockIO(), context(one, policy=policy))) == {}
    assert values(run_pod(BlockIO(), one, policy=policy)) == {}


@pytest.mark.parametrize(
    ("name", "effect"), [("lsrClass", True), ("lsClass", True), ("systemClass", True), ("beClass", False)]
)
def test_blocks_of_a_class_without_a_cgroup_are_noted_when_the_policy_is_read(name, effect):
    assert {path for path, _ in without_effect(blkio_of(name, block()).qos)} == (
        {f"{name}.blkioQOS"} if effect else set()
    )
    assert without_effect(blkio_of(name, block(), enable=False).qos) == []


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"blocks": [', "broken JSON"),
        ("[]", "expected"),
        ("", "broken JSON"),
        ({"blocks": "all"}, "blocks: expected"),
        ({"blocks": [{"name": ""}]}, "blocks[0].name: expected text that is not empty"),
        ({"blocks": [block(), block(ioWeightPercent=0)]}, "blocks[1].ioCfg.ioWeightPercent: expected 1..100, got 0"),
        ({"blocks": [block(readIOPS=-1)]}, "blocks[0].ioCfg.readIOPS: expected at least 0, got -1"),
        ({"blocks": [block(readBPS="fast")]}, "blocks[0].ioCfg.readBPS: expected"),
        ({"blocks": [block(ioLatencyTarget=0)]}, "blocks[0].ioCfg.ioLatencyTarget: expected at least 1, got 0"),
        ({"blocks": [block(kind="tape")]}, "blocks[0].type: expected device, volumegroup or podvolume"),
        ({"blocks": [block()] * 5000}, "expected at most 16384 characters"),
    ],
)
def test_a_bad_annotation_is_the_pods_fault_and_costs_neither_the_class_nor_the_name(text, problem):
    policy = policy_of(koordnri_config={"hooks": {"blkio": {"className": {"be": "slow"}}}})
    one = pod("BE", BESTEFFORT, {KEY: text})
    decision = run(BlockIO(), context(one, policy=policy))
    assert values(decision) == {"blockio.class": "slow"}
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert message.startswith(f"annotation {KEY}: ")
    assert problem in message
    with pytest.raises(AnnotationError) as error:  # what the pod has of an older, good annotation stays
        run_pod(BlockIO(), one, policy=policy)
    assert str(error.value) == message


def test_a_hundred_unknown_devices_are_reported_in_a_few_words():
    many = [block(f"/dev/none{i}", readIOPS=1) for i in range(100)]
    decision = of_pod(*many, block("/dev/sda", readIOPS=1), node=V2)
    assert list(values(decision)) == ["io.max[/dev/sda]"]
    assert len(decision.errors) == MOST_ERRORS + 1
    assert faults(decision)[-1] == ("pod", f"annotation {KEY}: blocks: {100 - MOST_ERRORS} more cannot be used")


def test_a_name_of_any_length_is_cut_in_what_is_reported():
    for kind in ("device", "volumegroup", "podvolume"):
        one = claiming({"main": {"/data": "logs"}}, {}, block("x" * 10_000, kind, readIOPS=1))
        [(_, message)] = faults(run_pod(BlockIO(), one, V2))
        assert len(message) < 500


# -- the runtime's classes --------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("known", "refused"),
    [
        (None, ""),
        (frozenset({"slow", "fast"}), ""),
        (frozenset({"fast", "best"}), "(best, fast), got slow"),
        (frozenset(), "(it has none), got slow"),
    ],
)
def test_a_class_that_the_runtimes_configuration_lacks_is_refused_before_the_runtime_does(known, refused):
    policy = policy_of(koordnri_config={"hooks": {"blkio": {"className": {"ls": "slow"}}}})
    one = pod("LS", annotations=own(block(readIOPS=3)))
    decision = run(BlockIO(), context(one, policy=policy, node=NodeState(blockio_classes=known)))
    assert "io.max[/dev/sdb]" in decision.settings
    if not refused:
        assert decision.value(BlockIO.owns[-1]) == "slow"
        assert decision.errors == ()
        return
    assert "blockio.class" not in decision.settings
    [(fault, message)] = faults(decision)
    assert fault == "node"
    assert message.startswith("koordnri-config.hooks.blkio.className.ls: ")
    assert message.endswith(refused)


def test_a_class_cannot_be_given_to_what_runs_already():
    policy = policy_of(koordnri_config={"hooks": {"blkio": {"className": {"ls": "slow"}}}})
    decision = run(BlockIO(), context(pod("LS"), policy=policy, event=Event.SYNC))
    assert decision.skipped == {"blockio.class": "can only be set while the container is created: restart the pod"}


# -- properties -------------------------------------------------------------------------------------------------------

limits = st.fixed_dictionaries(
    {}, optional={n: st.integers(0, 2**40) for n in ("readIOPS", "writeIOPS", "readBPS", "writeBPS")}
)


@given(st.dictionaries(st.sampled_from(["/dev/sda", "/dev/sdb", "/dev/sdc"]), limits))
def test_deciding_again_gives_the_same_and_every_line_says_all_four_limits(blocks):
    one = pod("LS", annotations=own(*(block(name, **io) for name, io in blocks.items())))
    first, again = (run_pod(BlockIO(), one, V2) for _ in range(2))
    assert first.settings == again.settings
    for name, io in blocks.items():
        given_ = {n: v for n, v in io.items() if v and not (n.endswith("IOPS") and v >= 2**32 - 1)}
        line = values(first).get(f"io.max[{name}]")
        assert (line is not None) == bool(given_)
        if line is not None:
            parts = dict(part.split("=") for part in line.split())
            keys = {"rbps": "readBPS", "wbps": "writeBPS", "riops": "readIOPS", "wiops": "writeIOPS"}
            assert parts == {k: str(given_.get(long) or "max") for k, long in keys.items()}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["blocks", "name", "type", "ioCfg", "readBPS", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(anything.map(json.dumps) | st.text(max_size=40), st.sampled_from([V2, v1(), NODE]))
def test_no_annotation_is_a_bug(text, node):
    one = pod("LS", annotations={KEY: text})
    assert {fault for fault, _ in faults(run(BlockIO(), context(one, node=node)))} <= {"pod"}
    try:
        decision = run_pod(BlockIO(), one, node)
    except AnnotationError:
        return
    assert {fault for fault, _ in faults(decision)} <= {"pod"}
