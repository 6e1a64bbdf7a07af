"""Hook cpuset. `v19` in a test's name is row 19 of Koordinator's own vectors (koordinator.md 11)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.cpuset import CPUSetHook

from koordnri.model import CPUSet, Event, NodeState, Resources, fields
from koordnri.model.node import Pool
from koordnri.model.topology import Topology
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod
from tests.support.policies import policy_of

STATUS = "scheduling.koordinator.sh/resource-status"
LS_POOLS = (Pool(0, 0, "0-7"), Pool(1, 1, "8-15"))
BE_POOLS = (Pool(0, 0, "0-6"), Pool(1, 1, "8-14"))
NODE = NodeState(topology=Topology.regular(2, 1, 4, 2), ls_pools=LS_POOLS, be_pools=BE_POOLS)
STATIC = NodeState(topology=NODE.topology, ls_pools=LS_POOLS, kubelet_cpu_policy="static")
SYSTEM_CPUS = NodeState(topology=NODE.topology, ls_pools=LS_POOLS, system_cpus="0-3")
BE_MANAGER = policy_of(koordnri_config={"hooks": {"cpuset": {"beCPUManager": True}}})
DEFAULT = policy_of()


def numa(*nodes, resource="cpu", amount="2"):
    return {STATUS: {"numaNodeResources": [{"node": n, "resources": {resource: amount}} for n in nodes]}}


@pytest.mark.parametrize(
    ("qos", "parent", "annotations", "node", "policy", "expected"),
    [
        pytest.param("LSR", GUARANTEED, {STATUS: {"cpuset": "2-4"}}, NODE, DEFAULT, "2-4", id="v17-LSR"),
        pytest.param("BE", BESTEFFORT, {STATUS: {"cpuset": "2-4"}}, NODE, DEFAULT, "2-4", id="v17-BE"),
        pytest.param(
            "", GUARANTEED, {STATUS: {"cpuset": "2-4"}}, STATIC, DEFAULT, "2-4", id="v17-unlabelled-static-kubelet"
        ),
        pytest.param(
            "LSR", GUARANTEED, {STATUS: {"cpuset": " 4,2-3\n"}}, NODE, DEFAULT, "4,2-3", id="verbatim-but-for-blanks"
        ),
        pytest.param(
            "LSR",
            GUARANTEED,
            {STATUS: {"cpuset": "2-4", **numa(1)[STATUS]}},
            NODE,
            DEFAULT,
            "2-4",
            id="cpuset-before-numa",
        ),
        pytest.param("LS", BURSTABLE, numa(0), NODE, DEFAULT, "0-7", id="v19"),
        pytest.param("LS", BURSTABLE, numa(1, 0), NODE, DEFAULT, "8-15,0-7", id="numa-in-annotation-order"),
        pytest.param(
            "LS", BURSTABLE, numa(0, amount="0"), NODE, DEFAULT, "0-7,8-15", id="numa-of-no-cpu-does-not-count"
        ),
        pytest.param("LS", BURSTABLE, numa(0, amount=0.5), NODE, DEFAULT, "0-7", id="numa-amount-as-number"),
        pytest.param("LS", BURSTABLE, numa(0, resource="memory"), NODE, DEFAULT, "0-7,8-15", id="numa-of-memory-only"),
        pytest.param("LSR", GUARANTEED, numa(1), STATIC, DEFAULT, "8-15", id="numa-before-static-kubelet"),
        pytest.param("LS", BURSTABLE, {}, NODE, DEFAULT, "0-7,8-15", id="v21"),
        pytest.param("LS", BURSTABLE, {}, STATIC, DEFAULT, "0-7,8-15", id="LS-before-static-kubelet"),
        pytest.param(
            "BE",
            BESTEFFORT,
            numa(1, resource="kubernetes.io/batch-cpu", amount="2000"),
            NODE,
            BE_MANAGER,
            "8-14",
            id="v22",
        ),
        pytest.param("SYSTEM", BURSTABLE, {}, SYSTEM_CPUS, DEFAULT, "0-3", id="v25-system-cpus"),
        pytest.param("SYSTEM", BURSTABLE, {}, NODE, DEFAULT, "0-7,8-15", id="v25-no-system-cpus"),
        pytest.param("", BURSTABLE, {}, NODE, DEFAULT, "0-7,8-15", id="unlabelled"),
        pytest.param("LSR", GUARANTEED, {STATUS: "{}"}, NODE, DEFAULT, "0-7,8-15", id="empty-status"),
    ],
)
def test_first_rule_that_applies_gives_the_cpus(qos, parent, annotations, node, policy, expected):
    decision = run(CPUSetHook(), context(pod(qos, parent, annotations), node=node, policy=policy))
    assert values(decision) == {"cpu.cpus": expected}
    assert decision.skipped == {}


@pytest.mark.parametrize(
    ("qos", "parent", "annotations", "node", "policy", "reason"),
    [
        pytest.param("BE", BESTEFFORT, {}, NODE, DEFAULT, "parent cgroup", id="v23"),
        pytest.param(
            "BE",
            BESTEFFORT,
            numa(1, resource="kubernetes.io/batch-cpu"),
            NODE,
            DEFAULT,
            "parent cgroup",
            id="v23-numa-without-beCPUManager",
        ),
        pytest.param("", BESTEFFORT, {}, NODE, DEFAULT, "parent cgroup", id="unlabelled-BestEffort"),
        pytest.param("LSR", GUARANTEED, {}, STATIC, DEFAULT, "kubelet", id="static-kubelet"),
        pytest.param("LS", BURSTABLE, {}, NodeState(), DEFAULT, "no share pools", id="no-pools"),
        pytest.param(
            "LS", BURSTABLE, {}, NodeState(ls_pools=(Pool(0, 0, ""),)), DEFAULT, "no share pools", id="empty-pool"
        ),
    ],
)
def test_a_container_left_alone_says_why_and_is_never_given_an_empty_cpuset(
    qos, parent, annotations, node, policy, reason
):
    decision = run(CPUSetHook(), context(pod(qos, parent, annotations), node=node, policy=policy))
    assert decision.settings == {}
    assert reason in decision.skipped["cpu.cpus"]


def test_empty_pools_leave_no_comma_behind():
    node = NodeState(ls_pools=(Pool(0, 0, ""), Pool(0, 1, "8-15")))
    assert values(run(CPUSetHook(), context(pod("LS"), node=node))) == {"cpu.cpus": "8-15"}


@pytest.mark.parametrize(
    ("status", "problems"),
    [
        pytest.param('{"cpuset":"2-4"', ["broken JSON, line 1 column 16"], id="v26-broken-JSON"),
        pytest.param('{"cpuset":5}', ["$.cpuset", "str"], id="wrong-type"),
        pytest.param({"cpuset": "4-2"}, ['cpuset: "4-2" at position 0', "start <= end"], id="backwards"),
        pytest.param({"cpuset": "0-3,x"}, ['"x" at position 4'], id="no-number"),
        pytest.param({"cpuset": "0-4000000000"}, ["expected a CPU number"], id="huge"),
        pytest.param({"cpuset": "16-17"}, ["16-17 names no CPU", "expected CPUs of 0-15"], id="absent-CPUs"),
        pytest.param(
            numa(0, amount="two")[STATUS],
            ['numaNodeResources[0].resources["cpu"]', 'got "two"'],
            id="numa-amount-no-quantity",
        ),
        pytest.param(
            {"numaNodeResources": [{"resources": {}}]}, ["$.numaNodeResources[0]", "node"], id="numa-without-node"
        ),
    ],
)
def test_a_bad_annotation_is_the_pods_fault_and_reported_with_its_place(status, problems):
    ctx = context(pod("LSR", GUARANTEED, {STATUS: status}), node=NODE)
    for _ in range(2):  # the second time from what was remembered
        ctx = context(ctx.pod, node=NODE)
        decision = run(CPUSetHook(), ctx)
        [(fault, message)] = faults(decision)
        assert fault == "pod"
        assert STATUS in message
        for problem in problems:
            assert problem in message
        # It is as if the annotation were not there: never on all CPUs, among which are others' own.
        assert values(decision) == {"cpu.cpus": "0-7,8-15"}


def test_cpus_are_not_checked_where_the_topology_is_unknown():
    decision = run(CPUSetHook(), context(pod("LSR", GUARANTEED, {STATUS: {"cpuset": "500"}}), node=NodeState()))
    assert values(decision) == {"cpu.cpus": "500"}


def test_a_cpu_that_goes_offline_turns_a_good_annotation_bad():
    one = pod("LSR", GUARANTEED, {STATUS: {"cpuset": "14-15"}})
    assert values(run(CPUSetHook(), context(one, node=NODE))) == {"cpu.cpus": "14-15"}
    smaller = NodeState(topology=Topology.regular(1, 1, 4, 2))
    [(fault, message)] = faults(run(CPUSetHook(), context(one, node=smaller)))
    assert fault == "pod"
    assert "14-15 names no CPU" in message


cpu_sets = st.frozensets(st.integers(0, 15), min_size=1).map(lambda cpus: ",".join(map(str, sorted(cpus))))


@given(
    qos=st.sampled_from(["", "LSE", "LSR", "LS", "BE", "SYSTEM"]),
    parent=st.sampled_from([GUARANTEED, BURSTABLE, BESTEFFORT]),
    cpuset=st.just("") | cpu_sets,
    nodes=st.lists(st.integers(0, 2), max_size=3),
    event=st.sampled_from(list(Event)),
)
def test_deciding_again_from_the_same_baseline_gives_the_same(qos, parent, cpuset, nodes, event):
    status = {"cpuset": cpuset, "numaNodeResources": [{"node": n, "resources": {"cpu": 1}} for n in nodes]}
    one, baseline = pod(qos, parent, {STATUS: status}), Resources(cpus="1-2")
    first = run(CPUSetHook(), context(one, baseline, NODE, BE_MANAGER, event))
    again = run(CPUSetHook(), context(one, baseline, NODE, BE_MANAGER, event))
    fresh = run(CPUSetHook(), context(pod(qos, parent, {STATUS: status}), baseline, NODE, BE_MANAGER, event))
    assert values(first) == values(again) == values(fresh)
    assert first.skipped == again.skipped == fresh.skipped
    assert "" not in values(first).values()


# -- CPUs that this node gave, and those that a DRA driver gave --------------------------------------------------------

OWN = replace(NODE, exclusive_cpus={"uid-web": {"main": CPUSet.parse("2,10")}}, pools_are_local=True)


def test_what_this_node_gave_comes_before_everything_else():
    made = run(CPUSetHook(), context(pod("LSR", GUARANTEED), node=OWN))
    assert values(made) == {"cpu.cpus": "2,10"}
    other = run(
        CPUSetHook(),
        context(pod("LS", BURSTABLE), node=replace(OWN, exclusive_cpus={"another": {"main": CPUSet.parse("2")}})),
    )
    assert values(other) == {"cpu.cpus": "0-7,8-15"}


def test_a_container_with_exclusive_cpus_counts_as_pinned():
    ctx = context(pod("LSR", GUARANTEED), node=OWN)
    assert values(run(CPUSetHook(), ctx)) == {"cpu.cpus": "2,10"}
    assert ctx.cpus_pinned


def test_a_container_of_a_dra_driver_is_left_alone():
    made = run(
        CPUSetHook(),
        context(pod("LS", BURSTABLE), node=replace(NODE, dra_cpus={"uid-web": {"main": CPUSet.parse("3")}})),
    )
    assert values(made) == {}
    assert "DRA" in made.skipped["cpu.cpus"]


def test_other_containers_beside_a_dra_drivers_follow_their_class():
    node = replace(NODE, dra_cpus={"another": {"main": CPUSet.parse("3")}, "uid-web": {"side": CPUSet.parse("4")}})
    assert values(run(CPUSetHook(), context(pod("LS", BURSTABLE), node=node))) == {"cpu.cpus": "0-7,8-15"}


def test_besteffort_is_kept_off_lses_cpus_where_this_node_computes_the_pools():
    assert values(run(CPUSetHook(), context(pod("", BESTEFFORT), node=NODE))) == {}
    assert values(run(CPUSetHook(), context(pod("", BESTEFFORT), node=replace(OWN, exclusive_cpus={})))) == {
        "cpu.cpus": "0-6,8-14"
    }


@pytest.mark.parametrize("text", ["{", '{"preferredCPUBindPolicy": "Everything"}'])
def test_a_wish_that_cannot_be_read_counts_as_none_and_its_owner_is_informed(text):
    one = pod("LSR", GUARANTEED, {"scheduling.koordinator.sh/resource-spec": text})
    made = run(CPUSetHook(), context(one, Resources(2048, 200_000), node=OWN))
    assert values(made) == {"cpu.cpus": "2,10"}
    [(fault, message)] = faults(made)
    assert fault == "pod"
    assert "resource-spec" in message


def test_why_an_owner_has_no_exclusive_cpus_is_in_the_reason():
    node = replace(NODE, no_exclusive_cpus={"uid-web": {"main": "all are taken"}})
    setting = run(CPUSetHook(), context(pod("LSR", GUARANTEED), node=node)).settings["cpu.cpus"]
    assert (setting.value, setting.reason) == ("0-7,8-15", "share pools of the node; no exclusive CPUs: all are taken")


@pytest.mark.parametrize(("cpus", "mems"), [("2,10", "0"), ("6", "1"), ("0-15", None)])
def test_memory_follows_the_cpus_where_the_policy_says_so(cpus, mems):
    bind = policy_of(koordnri_config={"hooks": {"cpuset": {"memoryBind": True}}})
    node = replace(OWN, exclusive_cpus={"uid-web": {"main": CPUSet.parse(cpus)}})
    made = values(run(CPUSetHook(), context(pod("LSR", GUARANTEED), node=node, policy=bind)))
    assert made == ({"cpu.cpus": cpus, "cpu.mems": mems} if mems else {"cpu.cpus": cpus})
    assert "cpu.mems" not in values(run(CPUSetHook(), context(pod("LSR", GUARANTEED), node=node)))


@pytest.mark.parametrize(
    ("cpus", "memory_nodes", "asked", "mems", "reason"),
    [
        pytest.param("2", "0-2", "", "0", "", id="memory-without-CPUs-is-not-of-them"),
        pytest.param("2,6", "0-2", "", None, "", id="on-every-node-with-CPUs"),
        pytest.param("2,6", "0", "", None, "", id="on-every-node-with-memory"),
        pytest.param("2", "1", "", None, "no memory", id="a-node-without-memory"),
        pytest.param("2", "0-1", "1", None, "memory manager", id="kubelet-has-chosen"),
    ],
)
def test_memory_is_bound_to_nodes_that_have_some_and_kubelets_choice_stands(cpus, memory_nodes, asked, mems, reason):
    bind = policy_of(koordnri_config={"hooks": {"cpuset": {"memoryBind": True}}})
    node = replace(OWN, exclusive_cpus={"uid-web": {"main": CPUSet.parse(cpus)}}, memory_nodes=memory_nodes)
    made = run(CPUSetHook(), context(pod("LSR", GUARANTEED), Resources(mems=asked), node, bind))
    assert values(made).get("cpu.mems") == mems
    assert reason in made.skipped.get("cpu.mems", "")


@pytest.mark.parametrize(
    ("one", "node"),
    [
        pytest.param(pod("BE", BESTEFFORT), NODE, id="no-CPUs-decided"),
        pytest.param(pod("LSR", GUARANTEED, {STATUS: {"cpuset": "2"}}), NodeState(), id="no-topology"),
    ],
)
def test_without_knowing_its_cpus_nodes_no_memory_is_bound(one, node):
    bind = policy_of(koordnri_config={"hooks": {"cpuset": {"memoryBind": True}}})
    assert "cpu.mems" not in values(run(CPUSetHook(), context(one, node=node, policy=bind)))


# -- what kubelet pinned ----------------------------------------------------------------------------------------------

WHOLE = Resources(cpu_shares=2048, cpu_quota=200_000, cpu_period=100_000, cpus="2-3")


@pytest.mark.parametrize("qos", ["LS", "SYSTEM", ""])
@pytest.mark.parametrize("annotations", [{}, numa(1)])
def test_who_has_cpus_of_kubelets_static_manager_is_never_moved_off_them(qos, annotations):
    node = replace(SYSTEM_CPUS, kubelet_cpu_policy="static")
    for cpus in ("2-3", "2-3", "4-5"):  # kubelet says them again every 10 s, and may say others
        made = run(CPUSetHook(), context(pod(qos, GUARANTEED, annotations), WHOLE.moved_by(Resources(cpus=cpus)), node))
        assert values(made) == {}
        assert "exclusive CPUs" in made.skipped["cpu.cpus"]


@pytest.mark.parametrize(
    ("parent", "baseline", "annotations", "node", "cpus"),
    [
        pytest.param(GUARANTEED, WHOLE, {}, NODE, "0-7,8-15", id="kubelet-is-not-static"),
        pytest.param(BURSTABLE, WHOLE, {}, STATIC, "0-7,8-15", id="not-Guaranteed"),
        pytest.param(GUARANTEED, Resources(1536, 150_000, cpus="0-15"), {}, STATIC, "0-7,8-15", id="not-whole"),
        pytest.param(GUARANTEED, Resources(2048, 200_000), {}, STATIC, "0-7,8-15", id="no-cpuset-of-kubelets"),
        pytest.param(GUARANTEED, WHOLE, {STATUS: {"cpuset": "6-7"}}, STATIC, "6-7", id="the-scheduler-chose-them"),
    ],
)
def test_others_on_such_a_node_follow_their_class(parent, baseline, annotations, node, cpus):
    made = run(CPUSetHook(), context(pod("LS", parent, annotations), baseline, node))
    assert values(made) == {"cpu.cpus": cpus}


# -- long texts -------------------------------------------------------------------------------------------------------


def test_a_long_list_of_cpus_is_shortened_before_the_kernel_refuses_it_and_still_counts_as_pinned():
    ctx = context(pod("LSR", GUARANTEED, {STATUS: {"cpuset": ",".join(["2", "3"] * 4000)}}), node=NODE)
    assert values(run(CPUSetHook(), ctx)) == {"cpu.cpus": "2-3"}
    assert ctx.cpus_pinned


def test_a_list_of_cpus_beyond_any_machine_is_refused():
    one = pod("LSR", GUARANTEED, {STATUS: {"cpuset": "2," * 9000 + "2"}})
    [(_, message)] = faults(run(CPUSetHook(), context(one, node=NODE)))
    assert "at most 16384 characters" in message


@pytest.mark.parametrize(("nodes", "expected"), [((7,), "0-7,8-15"), ((2**70, 1), "8-15"), ((-1,), "0-7,8-15")])
def test_a_numa_node_that_the_node_has_not_costs_itself_and_is_reported(nodes, expected):
    made = run(CPUSetHook(), context(pod("LS", BURSTABLE, numa(*nodes)), node=NODE))
    assert values(made) == {"cpu.cpus": expected}
    [(fault, message)] = faults(made)
    assert fault == "pod"
    assert f"annotation {STATUS}: numaNodeResources: expected NUMA nodes of 0-1, got {nodes[0]}"[:120] in message


def test_a_numa_node_without_a_pool_is_nobodys_mistake():
    node = replace(NODE, ls_pools=LS_POOLS[:1])
    made = run(CPUSetHook(), context(pod("LS", BURSTABLE, numa(0, 1)), node=node))
    assert (values(made), made.errors) == ({"cpu.cpus": "0-7"}, ())


def test_a_numa_node_that_is_named_a_hundred_times_counts_once():
    made = run(CPUSetHook(), context(pod("LS", BURSTABLE, numa(*[1, 0] * 150)), node=NODE))
    assert values(made) == {"cpu.cpus": "8-15,0-7"}


@pytest.mark.parametrize(
    ("qos", "parent", "annotations", "node", "expected"),
    [
        pytest.param("LSR", GUARANTEED, {STATUS: {"cpuset": "2-4"}}, NODE, "2-4", id="assigned"),
        pytest.param("LS", BURSTABLE, numa(1), NODE, "8-15", id="numa"),
        pytest.param("LS", BURSTABLE, {}, STATIC, "0-7,8-15", id="LS"),
        pytest.param("SYSTEM", BURSTABLE, {}, SYSTEM_CPUS, "0-3", id="SYSTEM"),
        pytest.param("", BURSTABLE, {}, NODE, "0-7,8-15", id="unlabelled"),
        pytest.param("", GUARANTEED, {}, STATIC, None, id="left-to-kubelet"),
        pytest.param("", BESTEFFORT, {}, NODE, None, id="BestEffort"),
        pytest.param("BE", BESTEFFORT, {}, replace(NODE, pools_are_local=True), "0-6,8-14", id="BE-off-reserved-cpus"),
        pytest.param("LS", BURSTABLE, {}, NodeState(topology=NODE.topology), None, id="no-pools"),
        pytest.param(
            "LSR",
            GUARANTEED,
            {},
            replace(NODE, exclusive_cpus={"uid-web": {"main": CPUSet.parse("2")}}),
            "0-7,8-15",
            id="shares",
        ),
    ],
)
def test_a_sandbox_gets_what_a_container_without_exclusive_cpus_would(qos, parent, annotations, node, expected):
    owner = pod(qos, parent, annotations)
    decision = run_pod(CPUSetHook(), owner, node)
    assert decision.value(fields.CPU_CPUS) == expected
    setting = decision.settings.get("cpu.cpus")
    reason = setting.reason if setting else decision.skipped["cpu.cpus"]
    assert reason.startswith("sandbox: ")
    container = run(CPUSetHook(), context(owner, node=node, name="another"))
    assert values(decision) == values(container)


@pytest.mark.parametrize("handler", ["kata", "kata-qemu", "runsc", "somebodys"])
def test_a_sandbox_that_may_hold_all_containers_is_left_alone(handler):
    decision = run_pod(CPUSetHook(), pod("LSR", GUARANTEED, {STATUS: {"cpuset": "2-4"}}, runtime_handler=handler), NODE)
    assert values(decision) == {}
    assert f"runtime handler {handler}" in decision.skipped["cpu.cpus"]


@pytest.mark.parametrize("handler", ["", "runc", "nvidia"])
def test_a_sandbox_that_only_waits_has_its_pods_cpus(handler):
    decision = run_pod(CPUSetHook(), pod("LSR", GUARANTEED, {STATUS: {"cpuset": "2-4"}}, runtime_handler=handler), NODE)
    assert values(decision) == {"cpu.cpus": "2-4"}


@pytest.mark.parametrize("status", ["{", {"cpuset": "4-2"}, {"cpuset": "98-99"}, numa(9)[STATUS]])
@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_what_is_wrong_with_an_annotation_is_reported_with_the_containers_alone(status, mode):
    policy = policy_of(koordnri_config={"hooks": {"cpuset": {"mode": mode}}})
    decision = run_pod(CPUSetHook(), pod("LSR", GUARANTEED, {STATUS: status}), NODE, policy)
    assert decision.errors == ()
    assert decision.undecided == set()
    assert decision.value(fields.CPU_CPUS) == "0-7,8-15"
