"""What a pod has as a whole: its own `spec.resources` (KEP-2837) and its RuntimeClass overhead, in memory, quota and burst."""

from fractions import Fraction

import pytest
from koordnri_hooks.cfs_quota import CFSQuota
from koordnri_hooks.memory import Memory
from koordnri_hooks.memory_request import pod_request

from koordnri.model import NodeState, Resources
from koordnri.model.errors import PodError
from koordnri.model.pod import ContainerSpec, PodSpec
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod
from tests.support.policies import policy_of

CPU, MEMORY = "kubernetes.io/batch-cpu", "kubernetes.io/batch-memory"
MI, GI = 1 << 20, 1 << 30
NODE = NodeState(memory_bytes=16 * GI)
LS = policy_of(
    resource_qos_config={
        "clusterStrategy": {
            "lsClass": {
                "memoryQOS": {"enable": True, "minLimitPercent": 50, "lowLimitPercent": 100, "throttlingPercent": 80}
            }
        }
    }
)
BURST = policy_of(cpu_burst_config={"clusterStrategy": {"policy": "auto", "cpuBurstPercent": 50}})


def memory(request=None, limit=None):
    requests, limits = ({} if amount is None else {"memory": amount} for amount in (request, limit))
    return ContainerSpec(requests, limits)


def whole(containers, requests, limits, qos="LS", parent=BURSTABLE, resources=None):
    """A pod with resources of its own."""
    return pod(
        qos,
        parent,
        spec=PodSpec(containers, requests=requests, limits=limits),
        resources=resources or Resources(memory_limit=4 * GI),
    )


def protection(one, policy=LS):
    found = values(run_pod(Memory(), one, NODE, policy))
    return found.get("memory.min"), found.get("memory.low")


@pytest.mark.parametrize(
    ("containers", "asked", "expected"),
    [
        pytest.param({"a": memory(), "b": memory()}, "2Gi", (GI, 2 * GI), id="nobody-else-asks"),
        pytest.param({"a": memory("1Gi", "1Gi"), "b": memory()}, "2Gi", (GI, 2 * GI), id="one-asks-for-less"),
        pytest.param({"a": memory("1Gi"), "b": memory("1Gi")}, "4Gi", (2 * GI, 4 * GI), id="all-ask-for-less"),
    ],
)
def test_a_pod_is_protected_by_its_own_request(containers, asked, expected):
    assert protection(whole(containers, {"memory": asked}, {"memory": "4Gi"})) == expected


def test_a_pod_whose_own_resources_are_of_cpu_only_is_protected_by_its_containers():
    assert protection(whole({"a": memory("1Gi"), "b": memory("1Gi")}, {"cpu": "2"}, {"cpu": "2"})) == (GI, 2 * GI)


def test_a_container_is_protected_by_its_own_request_only():
    one = whole({"a": memory("1Gi"), "b": memory()}, {"memory": "2Gi"}, {"memory": "4Gi"})
    baseline = Resources(memory_limit=4 * GI)  # as kubelet gives it to both
    assert values(run(Memory(), context(one, baseline, NODE, LS, name="a")))["memory.min"] == GI // 2
    assert "memory.min" not in values(run(Memory(), context(one, baseline, NODE, LS, name="b")))


@pytest.mark.parametrize(
    ("container", "asked", "limit", "expected"),
    [
        # 2 Gi and 80 % of what is between that and 4 Gi
        pytest.param(memory(), "2Gi", 4 * GI, 3865468928, id="none-of-its-own"),
        pytest.param(memory("1Gi"), "2Gi", 4 * GI, 3865468928, id="a-request-of-its-own"),
        pytest.param(memory("1Gi", "0"), "2Gi", 4 * GI, 3865468928, id="a-limit-of-0-is-none"),
        pytest.param(memory(), "4Gi", 4 * GI, 4 * GI, id="request-and-limit-are-the-same"),
        pytest.param(memory("1Gi", "2Gi"), "2Gi", 2 * GI, 1932734464, id="a-limit-of-its-own"),
    ],
)
def test_a_container_without_a_limit_is_throttled_where_its_pod_would_be(container, asked, limit, expected):
    one = whole({"main": container}, {"memory": asked}, {"memory": "4Gi"})
    ctx = context(one, Resources(memory_limit=limit), NODE, LS)
    assert values(run(Memory(), ctx))["memory.high"] == expected // 4096 * 4096


def test_a_bad_quantity_of_the_pods_own_is_reported_with_its_place():
    one = whole({"main": memory()}, {"memory": "x"}, {"memory": "4Gi"})
    with pytest.raises(PodError, match=r"^spec\.resources\.requests: memory: expected a quantity"):
        pod_request(one, -1)


def kata(containers=None, overhead=None, qos="BE", parent=BESTEFFORT, **more):
    batch = {CPU: "2k", MEMORY: "1Gi"}
    spec = PodSpec(
        containers or {"app": ContainerSpec(batch, batch)},
        overhead={"cpu": "250m", "memory": "120Mi"} if overhead is None else overhead,
    )
    return pod(qos, parent, spec=spec, **more)


@pytest.mark.parametrize(
    "overhead",
    [
        pytest.param({"cpu": "250m", "memory": "120Mi"}, id="as-the-runtimeclass-has-it"),
        pytest.param({CPU: "250", MEMORY: "120Mi"}, id="as-koordinators-webhook-writes-it"),
    ],
)
def test_limits_of_a_BE_pod_include_its_overhead(overhead):
    one = kata(overhead=overhead)
    assert values(run_pod(CFSQuota(), one)) == {"cpu.shares": 2304, "cpu.quota": 225_000}
    assert values(run_pod(Memory(), one)) == {"memory.limit": GI + 120 * MI}


def test_the_containers_of_such_a_pod_have_their_own_only():
    one = kata()
    assert values(run(CFSQuota(), context(one, name="app"))) == {"cpu.shares": 2048, "cpu.quota": 200_000}
    assert values(run(Memory(), context(one, name="app"))) == {"memory.limit": GI}


def test_the_overhead_is_there_beside_init_containers_too():
    def batch(milli):
        return ContainerSpec({CPU: milli}, {CPU: milli})

    init = ContainerSpec({CPU: "3k"}, {CPU: "3k"}, init=True)
    one = kata({"init": init, "app": batch("1k"), "side": batch("500")})
    assert values(run_pod(CFSQuota(), one)) == {"cpu.shares": 3328, "cpu.quota": 325_000}


def test_overhead_is_normalised_as_the_containers_are():
    node = NodeState(normalization_ratio=Fraction(5, 4))
    assert values(run_pod(CFSQuota(), kata(), node))["cpu.quota"] == 180_000


def test_overhead_makes_no_limit_where_there_is_none():
    one = kata({"app": ContainerSpec({CPU: "1k", MEMORY: "1Gi"}, {})})
    assert values(run_pod(CFSQuota(), one)) == {"cpu.shares": 1280, "cpu.quota": -1}
    assert values(run_pod(Memory(), one)) == {"memory.limit": -1}


@pytest.mark.parametrize("hook", [CFSQuota(), Memory()])
def test_overhead_that_is_no_quantity_leaves_the_pods_limits_as_they_are(hook):
    decision = run_pod(hook, kata(overhead={"cpu": "x", "memory": "y"}))
    ((fault, message),) = faults(decision)
    assert fault == "pod"
    assert message.startswith("spec.overhead.")
    assert values(decision) == {}
    assert decision.undecided


@pytest.mark.parametrize(
    ("one", "asked"),
    [
        pytest.param(kata(), GI + 120 * MI, id="BE"),
        pytest.param(kata({"app": memory("1Gi")}, qos="LS", parent=BURSTABLE), GI + 120 * MI, id="LS"),
        pytest.param(kata({"app": memory()}, qos="LS", parent=BURSTABLE), 0, id="nothing-is-asked-for"),
    ],
)
def test_the_request_of_a_pod_includes_its_overhead_as_kubelet_counts_it(one, asked):
    assert pod_request(one, -1) == asked


def cpus(*limits):
    return {f"c{i}": ContainerSpec({}, {} if limit is None else {"cpu": limit}) for i, limit in enumerate(limits)}


@pytest.mark.parametrize("containers", [cpus(None, None), cpus("1", None), cpus("1", "1")])
def test_a_pods_burst_goes_by_its_own_limit(containers):
    one = whole(containers, {}, {"cpu": "2"}, resources=Resources(2048, 200_000))
    assert values(run_pod(CFSQuota(), one, NODE, BURST))["cpu.burst"] == 100_000


def test_a_container_without_a_limit_bursts_over_the_pods():
    one = whole(cpus("1", None), {}, {"cpu": "2"})
    own = run(CFSQuota(), context(one, Resources(1024, 100_000), NODE, BURST, name="c0"))
    pods = run(CFSQuota(), context(one, Resources(2048, 200_000), NODE, BURST, name="c1"))
    assert (values(own)["cpu.burst"], values(pods)["cpu.burst"]) == (50_000, 100_000)


def test_burst_goes_down_ahead_of_a_pod_that_is_shrunk_in_place():
    one = whole(cpus(None), {}, {"cpu": "1"}, resources=Resources(2048, 200_000), parent=GUARANTEED)
    assert values(run_pod(CFSQuota(), one, NODE, BURST))["cpu.burst"] == 50_000
    shrunk = run(CFSQuota(), context(one, Resources(2048, 200_000), NODE, BURST, name="c0"))
    assert values(shrunk)["cpu.burst"] == 50_000
