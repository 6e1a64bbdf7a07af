"""Batch resources of a BE pod: from its spec or its annotation."""

import pytest
from koordnri_hooks.cfs_quota import CFSQuota

from koordnri.model import NodeState, Resources
from koordnri.model.pod import ContainerSpec, PodSpec
from tests.hooks.batch_pods import CPU, MEMORY, SPEC, batch, be
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, pod
from tests.support.policies import policy_of


def test_a_container_that_the_spec_does_not_name_is_left_alone():
    decision = run(CFSQuota(), context(be(main=batch("500", "500")), Resources(2), name="debugger"))
    assert decision.settings == {}
    assert "no batch resources" in decision.skipped["cpu.quota"]


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        pytest.param('{"containers":', "broken JSON, line 1 column 15", id="v13-malformed"),
        pytest.param(
            {"containers": {"main": {"limits": {CPU: "half"}}}}, f'containers.main.limits["{CPU}"]', id="text"
        ),
        pytest.param(
            {"containers": {"main": {"requests": {CPU: "-5"}}}}, f'containers.main.requests["{CPU}"]', id="negative"
        ),
        pytest.param(
            {"containers": {"main": {"limits": {CPU: "1E"}}}}, "expected 0..1000000000", id="beyond-the-kernel"
        ),
        pytest.param({"containers": {"main": {"limits": {CPU: [1]}}}}, "containers", id="list"),
        pytest.param({"containers": ["main"]}, "$.containers", id="containers-as-list"),
    ],
)
def test_bad_batch_resources_are_the_pods_fault_and_reported_with_their_place(annotation, problem):
    one = pod("BE", BESTEFFORT, {SPEC: annotation})
    for decision in (run(CFSQuota(), context(one)), run_pod(CFSQuota(), one)):
        ((fault, message),) = faults(decision)
        assert fault == "pod"
        assert SPEC in message
        assert problem in message
        assert {field.name for field in decision.undecided} == {"cpu.shares", "cpu.quota", "cpu.period"}


def test_bad_batch_resources_cost_no_idleness_and_no_group_identity():
    cpu = {"cpuQOS": {"enable": True, "schedIdle": 1}}
    policy = policy_of(resource_qos_config={"clusterStrategy": {"beClass": cpu}})
    node = NodeState(cgroup_files=NodeState().cgroup_files | {"cpu.bvt_warp_ns"})
    assert values(run_pod(CFSQuota(), pod("BE", BESTEFFORT, {SPEC: "{"}), node, policy)) == {
        "cpu.bvt_warp_ns": -1,
        "cpu.idle": 1,
    }


def test_a_bad_number_costs_its_own_container_only():
    one = be(main=batch("500", "500"), side=batch("x", "500"))
    assert values(run(CFSQuota(), context(one)))["cpu.quota"] == 50_000
    ((_, message),) = faults(run(CFSQuota(), context(one, name="side")))
    assert "containers.side" in message


def test_a_bad_batch_memory_does_not_touch_the_cpu():
    one = be(main={"limits": {CPU: "500", MEMORY: "plenty"}})
    assert values(run(CFSQuota(), context(one)))["cpu.quota"] == 50_000


def test_the_pods_spec_wins_over_the_annotation_once_it_is_read():
    one = be(main=batch("500", "500"))
    assert values(run(CFSQuota(), context(one)))["cpu.quota"] == 50_000
    one.spec = PodSpec({"main": ContainerSpec({CPU: "1k"}, {CPU: 2000}), "side": ContainerSpec({}, {})})
    assert values(run(CFSQuota(), context(one))) == {"cpu.shares": 1024, "cpu.quota": 200_000}
    assert values(run(CFSQuota(), context(one, name="side"))) == {}


def test_a_spec_without_batch_resources_leaves_the_annotation_to_say():
    one = be(main=batch("500", "500"))
    one.spec = PodSpec({"main": ContainerSpec({"cpu": "1"}, {})})
    assert values(run(CFSQuota(), context(one)))["cpu.quota"] == 50_000


def test_a_bad_quantity_of_the_spec_names_the_spec():
    one = pod("BE", BESTEFFORT, spec=PodSpec({"main": ContainerSpec({}, {CPU: "x"})}))
    ((fault, message),) = faults(run(CFSQuota(), context(one)))
    assert fault == "pod"
    assert message.startswith('spec.containers.main.limits["kubernetes.io/batch-cpu"]')
