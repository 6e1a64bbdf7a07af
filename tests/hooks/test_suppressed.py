"""What CPU suppress wants becomes controlled values: of the class, or of single containers."""

from __future__ import annotations

import pytest

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.model import Container, CPUSet, Event, KubeQoS, NodeState, Pod, Resources
from koordnri.model.annotations import BATCH_CPU, EXTENDED_RESOURCE_SPEC, RESOURCE_STATUS
from koordnri.model.control import NO_CONTROL, Control, Wanted
from koordnri.model.node import Pool
from koordnri.model.pod import SOURCE_KEY
from koordnri.model.topology import Topology
from koordnri.policy import DEFAULT_POLICY
from tests.support.pods import BESTEFFORT, BURSTABLE
from tests.support.pods import pod as pod_of

CHAIN = Chain(load_hooks())
CPUS = Control(be_cpus=Wanted(CPUSet.parse("0-2"), "services need CPUs"))
QUOTA = Control(be_quota_us=Wanted(30_000, "services need CPUs"))
BATCH = {"containers": {"main": {"requests": {BATCH_CPU: "500"}, "limits": {BATCH_CPU: "500"}}}}


def snapshot(control: Control, version: int, **more: object) -> Snapshot:
    node = NodeState(control=control, cgroup_version=version, topology=Topology.regular(1, 1, 8, 1), **more)  # type: ignore[arg-type]
    return Snapshot.of(DEFAULT_POLICY, node)


def be(parent: str = BESTEFFORT, **annotations: object) -> Pod:
    return pod_of("BE", parent, {SOURCE_KEY: "file", **annotations})


def controlled(pod: Pod, world: Snapshot, event: Event = Event.SYNC) -> dict[str, object]:
    container = Container("c", "main", pod.id, Resources())
    return {name: s.value for name, s in CHAIN.decide_container(pod, container, event, world).controlled.items()}


def of_class(qos: KubeQoS, world: Snapshot) -> dict[str, object]:
    return {name: s.value for name, s in CHAIN.decide_class(qos, [], world).controlled.items()}


def test_on_v2_the_class_has_the_cpus_for_all_below_it():
    world = snapshot(CPUS, 2)
    assert of_class(KubeQoS.BESTEFFORT, world) == {"cpu.cpus": "0-2"}
    assert of_class(KubeQoS.BURSTABLE, world) == of_class(KubeQoS.GUARANTEED, world) == {}
    assert controlled(be(), world) == {}


def test_on_v1_each_container_has_them_and_the_class_stays_wide():
    world = snapshot(CPUS, 1)
    assert of_class(KubeQoS.BESTEFFORT, world) == {}
    assert controlled(be(), world) == controlled(pod_of("", BESTEFFORT), world) == {"cpu.cpus": "0-2"}


@pytest.mark.parametrize("version", [1, 2])
def test_best_effort_work_elsewhere_has_them_by_itself_and_services_never(version):
    world = snapshot(CPUS, version)
    assert controlled(be(BURSTABLE), world) == {"cpu.cpus": "0-2"}
    assert controlled(pod_of("LS", BURSTABLE), world) == controlled(pod_of("", BURSTABLE), world) == {}


def test_of_a_narrower_pool_the_common_cpus_count():
    pools = {"be_pools": (Pool(0, 0, "2-5"),), "pools_are_local": True}
    assert controlled(be(), snapshot(CPUS, 1, **pools)) == {"cpu.cpus": "2"}
    pools["be_pools"] = (Pool(0, 0, "6-7"),)
    assert controlled(be(), snapshot(CPUS, 1, **pools)) == {"cpu.cpus": "0-2"}


def test_cpus_that_a_scheduler_assigned_stay():
    assert controlled(be(**{RESOURCE_STATUS.key: {"cpuset": "4-5"}}), snapshot(CPUS, 1)) == {}


@pytest.mark.parametrize("version", [1, 2])
def test_the_class_gets_the_quota_and_own_quotas_below_it_are_lifted(version):
    world, pod = snapshot(QUOTA, version), be(**{EXTENDED_RESOURCE_SPEC.key: BATCH})
    assert of_class(KubeQoS.BESTEFFORT, world) == {"cpu.quota": 30_000}
    container = Container("c", "main", pod.id, Resources())
    decision = CHAIN.decide_container(pod, container, Event.SYNC, world)
    own = CHAIN.decide_pod(pod, world, [container])
    for one in (decision, own):
        assert one.in_files["cpu.quota"].value == -1
    assert decision.settings["cpu.quota"].value == (50_000 if version == 2 else -1), "v1: the runtime must know, too"


def test_without_suppression_best_effort_pods_keep_their_quota():
    pod = be(**{EXTENDED_RESOURCE_SPEC.key: BATCH})
    decision = CHAIN.decide_container(
        pod, Container("c", "main", pod.id, Resources()), Event.SYNC, snapshot(NO_CONTROL, 2)
    )
    assert decision.in_files["cpu.quota"].value == 50_000


def test_a_pod_that_the_class_does_not_bound_keeps_its_quota():
    pod = be(BURSTABLE, **{EXTENDED_RESOURCE_SPEC.key: BATCH})
    decision = CHAIN.decide_container(pod, Container("c", "main", pod.id, Resources()), Event.SYNC, snapshot(QUOTA, 2))
    assert decision.in_files["cpu.quota"].value == 50_000
