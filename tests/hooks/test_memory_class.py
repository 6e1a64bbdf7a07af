"""Hook memory on the QoS classes' cgroups: what is protected of a class is the sum of what is protected of its pods."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.memory import Memory

from koordnri.hook import ClassContext, ContainerContext
from koordnri.model import Container, Event, KubeQoS, NodeState, Pod, Resources
from koordnri.model.annotations import BATCH_MEMORY, EXTENDED_RESOURCE_SPEC
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.policy import DEFAULT_POLICY
from tests.hooks.one_hook import run, run_pod, values
from tests.support.pods import pod
from tests.support.policies import policy_of

QOS = "koordinator.sh/memoryQOS"
SPEC = EXTENDED_RESOURCE_SPEC.key
PARENTS = {
    KubeQoS.GUARANTEED: "/kubepods/pod",
    KubeQoS.BURSTABLE: "/kubepods/burstable/pod",
    KubeQoS.BESTEFFORT: "/kubepods/besteffort/pod",
}
V2 = NodeState()
ALIBABA = NodeState(cgroup_files=V2.cgroup_files | {"memory.priority", "memory.use_priority_oom"})


def run_class(kube_qos: KubeQoS, pods: Iterable[Pod], policy, node=V2):
    ctx = ClassContext(kube_qos, list(pods), policy, node, node.pod_routes)
    ctx.hook, ctx.owns = Memory.name, frozenset(Memory.owns)
    Memory().decide_class(ctx)
    return ctx.made()


def classes(**by_class):
    """memoryQOS by class; a tuple stands for minLimitPercent and lowLimitPercent."""
    named = {
        name: dict(zip(("minLimitPercent", "lowLimitPercent"), asked, strict=True))
        if isinstance(asked, tuple)
        else asked
        for name, asked in by_class.items()
    }
    return policy_of(
        resource_qos_config={
            "clusterStrategy": {f"{n}Class": {"memoryQOS": {"enable": True, **m}} for n, m in named.items()}
        }
    )


def pod_of(name, kube, qos="", requests=None, limit=None, annotations=None):
    spec = None if requests is None else PodSpec({n: ContainerSpec({"memory": r}, {}) for n, r in requests.items()})
    limits = Resources(memory_limit=limit)
    return pod(qos, PARENTS[kube] + name, annotations, name=name, resources=limits, spec=spec)


def batch(name, annotations=None, **requests):
    table = {n: {"requests": {BATCH_MEMORY: r}} for n, r in requests.items()}
    return pod_of(
        name, KubeQoS.BESTEFFORT, "BE", None, None, {SPEC: json.dumps({"containers": table}), **(annotations or {})}
    )


EVERYBODY = [
    pod_of("g", KubeQoS.GUARANTEED, "LSR", limit=1000),
    pod_of("b1", KubeQoS.BURSTABLE, "LS", {"main": 400, "side": 100}),
    pod_of("b2", KubeQoS.BURSTABLE, "", {"main": 500}),
    batch("be", main=2000),
]
POLICY = classes(lsr=(10, 0), ls=(20, 50), be=(30, 10))


@pytest.mark.parametrize(
    ("kube_qos", "expected"),
    [
        (KubeQoS.BURSTABLE, {"memory.min": 200, "memory.low": 500}),
        # low of BE is lifted to its min, as the pod's is.
        (KubeQoS.BESTEFFORT, {"memory.min": 600, "memory.low": 600}),
        (KubeQoS.GUARANTEED, {"memory.min": 100 + 200 + 600, "memory.low": 0 + 500 + 600}),
    ],
)
def test_a_class_has_the_sum_of_its_pods_and_the_root_that_of_all(kube_qos, expected):
    below = [p for p in EVERYBODY if kube_qos is KubeQoS.GUARANTEED or p.kube_qos is kube_qos]
    assert values(run_class(kube_qos, below, POLICY)) == expected


def test_a_class_whose_pods_ask_for_nothing_is_left_alone():
    decision = run_class(KubeQoS.GUARANTEED, EVERYBODY, DEFAULT_POLICY)
    assert (decision.settings, decision.skipped) == ({}, {})


def test_a_pods_annotation_counts_in_its_class():
    asks = pod_of("a", KubeQoS.BURSTABLE, "LS", {"main": 1000}, annotations={QOS: '{"minLimitPercent": 70}'})
    none = pod_of("n", KubeQoS.BURSTABLE, "LS", {"main": 1000}, annotations={QOS: '{"policy": "none"}'})
    policy = classes(ls=(10, 0))
    plain = pod_of("p", KubeQoS.BURSTABLE, "LS", {"main": 1000})
    assert values(run_class(KubeQoS.BURSTABLE, [asks, none, plain], policy)) == {"memory.min": 800}


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param(pod_of("x", KubeQoS.BURSTABLE, "LS"), id="request-not-known"),
        pytest.param(pod_of("x", KubeQoS.BURSTABLE, "LS", {"main": "much"}), id="quantity-that-is-none"),
        pytest.param(pod_of("x", KubeQoS.BURSTABLE, "BE", annotations={SPEC: "[]", QOS: '{"minLimitPercent": 9}'}), id="broken-batch"),
    ],
)  # fmt: skip
def test_a_pod_that_cannot_be_counted_is_named_and_takes_nothing_from_the_others(strange):
    plain = pod_of("p", KubeQoS.BURSTABLE, "LS", {"main": 1000})
    decision = run_class(KubeQoS.BURSTABLE, [strange, plain], classes(ls=(10, 0)))
    assert values(decision) == {"memory.min": 100}
    [(what, why)] = decision.skipped.items()
    assert what == "pods"
    assert why.endswith(": shop/x")
    assert (decision.errors, decision.undecided) == ((), frozenset())


def test_a_pod_whose_memoryQOS_cannot_be_read_counts_by_its_class():
    broken = pod_of("x", KubeQoS.BURSTABLE, "LS", {"main": 1000}, annotations={QOS: "{"})
    decision = run_class(KubeQoS.BURSTABLE, [broken], classes(ls=(10, 0)))
    assert (values(decision), decision.skipped, decision.errors) == ({"memory.min": 100}, {}, ())


def test_of_many_that_cannot_be_counted_a_few_are_named():
    decision = run_class(KubeQoS.BURSTABLE, [pod_of(f"x{i}", KubeQoS.BURSTABLE) for i in range(9)], classes(ls=(10, 0)))
    assert decision.skipped["pods"].endswith(": shop/x0, shop/x1, shop/x2 and 6 more")


def test_what_does_not_fit_into_the_kernels_numbers_is_cut():
    huge = [pod_of(f"h{i}", KubeQoS.BURSTABLE, "LS", {"main": "9e30"}) for i in range(3)]
    assert values(run_class(KubeQoS.BURSTABLE, huge, classes(ls=(100, 100)))) == {
        "memory.min": 2**63 - 1,
        "memory.low": 2**63 - 1,
    }


def test_priorities_count_among_siblings_so_the_classes_have_them():
    policy = classes(ls={"priorityEnable": 1, "priority": 9}, be={"priority": 2})
    assert values(run_class(KubeQoS.BURSTABLE, [], policy, ALIBABA)) == {
        "memory.priority": 9,
        "memory.use_priority_oom": 1,
    }
    assert values(run_class(KubeQoS.BESTEFFORT, [], policy, ALIBABA)) == {"memory.priority": 2}
    assert values(run_class(KubeQoS.GUARANTEED, [], policy, ALIBABA)) == {"memory.use_priority_oom": 1}
    assert values(run_class(KubeQoS.GUARANTEED, [], classes(be={"priority": 2}), ALIBABA)) == {}


def test_a_class_never_dies_as_a_whole():
    every = classes(**{name: {"oomKillGroup": 1} for name in ("lsr", "ls", "be")})
    for kube_qos in KubeQoS:
        assert values(run_class(kube_qos, EVERYBODY, every)) == {}


def test_v1_of_mainline_says_what_it_lacks():
    node = NodeState(cgroup_version=1, cgroup_files=frozenset())
    decision = run_class(KubeQoS.BURSTABLE, EVERYBODY, POLICY, node)
    assert values(decision) == {}
    assert decision.skipped == {f"memory.{f}": f"cgroup v1 has no memory.{f}" for f in ("min", "low")}


amounts = st.integers(0, 1 << 40)
percents = st.tuples(st.integers(0, 100), st.integers(0, 100))
annotation = st.none() | st.builds(
    lambda p, least, low: {"policy": p, "minLimitPercent": least, "lowLimitPercent": low},
    st.sampled_from(["default", "auto", "none"]),
    st.none() | st.integers(0, 100),
    st.none() | st.integers(0, 100),
)


@st.composite
def any_pod(draw, number):
    name = f"p{number}"
    wanted = draw(annotation)
    annotations = {} if wanted is None else {QOS: json.dumps({k: v for k, v in wanted.items() if v is not None})}
    requests = {f"c{i}": amount for i, amount in enumerate(draw(st.lists(amounts, min_size=1, max_size=3)))}
    kind = draw(st.sampled_from(["batch", "mixed", "guaranteed", "spec", "unknown"]))
    if kind == "batch":
        return batch(name, annotations, **requests), requests
    if kind == "mixed":  # BE by its label, in Burstable, with requests of both kinds
        one = pod_of(name, KubeQoS.BURSTABLE, "BE", {**requests, "more": draw(amounts)}, None, annotations)
        one.annotations = {**annotations, **batch(name, **requests).annotations}
        return one, {**requests, "more": 0}
    if kind == "guaranteed":
        limits = {n: amount + 1 for n, amount in requests.items()}
        return pod_of(name, KubeQoS.GUARANTEED, "", None, sum(limits.values()), annotations), limits
    if kind == "spec":
        kube = draw(st.sampled_from(list(KubeQoS)))
        qos = draw(st.sampled_from(["", "LS", "LSR", "SYSTEM", "BE"]))
        return pod_of(name, kube, qos, requests, None, annotations), requests
    return pod_of(name, KubeQoS.BURSTABLE, "", None, None, annotations), requests


@given(data=st.data(), by_class=st.tuples(percents, percents, percents, percents))
def test_at_every_level_the_sum_below_fits_into_what_is_above(data, by_class):
    policy = classes(**dict(zip(("lsr", "ls", "be", "system"), by_class, strict=True)))
    made = [data.draw(any_pod(i)) for i in range(data.draw(st.integers(0, 5)))]
    by_kube: dict[KubeQoS, list[Pod]] = {kube_qos: [] for kube_qos in KubeQoS}
    for one, containers in made:
        by_kube[one.kube_qos].append(one)
        limits = containers if one.kube_qos is KubeQoS.GUARANTEED else {}
        below = []
        for name in containers:
            baseline = Resources(memory_limit=limits.get(name))
            container = Container(name, name, one.id, baseline)
            ctx = ContainerContext(one, container, Event.CREATE, policy, V2, V2.create_routes)
            below.append(values(run(Memory(), ctx)))
        above = values(run_pod(Memory(), one, V2, policy))
        for field in ("memory.min", "memory.low"):
            assert sum(b.get(field, 0) for b in below) <= above.get(field, 0)
        for one_of in (*below, above):
            assert one_of.get("memory.low", 1 << 62) >= one_of.get("memory.min", 0)
            assert one_of.get("memory.high", 1 << 62) >= one_of.get("memory.min", 0)
    everybody = [one for one, _ in made]
    root = values(run_class(KubeQoS.GUARANTEED, everybody, policy))
    for field in ("memory.min", "memory.low"):
        sums = {
            kube: sum(values(run_pod(Memory(), p, V2, policy)).get(field, 0) for p in pods)
            for kube, pods in by_kube.items()
        }
        for kube in (KubeQoS.BURSTABLE, KubeQoS.BESTEFFORT):
            assert values(run_class(kube, by_kube[kube], policy)).get(field, 0) == sums[kube]
        assert root.get(field, 0) == sum(sums.values())


def test_a_pods_new_spec_is_read_again():
    policy = classes(ls=(50, 0))
    one = pod_of("p", KubeQoS.BURSTABLE, "LS", {"main": 1000})
    assert values(run_class(KubeQoS.BURSTABLE, [one], policy)) == {"memory.min": 500}
    one.spec = PodSpec({"main": ContainerSpec({"memory": 3000}, {})})
    assert values(run_class(KubeQoS.BURSTABLE, [one], policy)) == {"memory.min": 1500}


def test_a_pod_counts_by_the_policy_in_force():
    one = pod_of("p", KubeQoS.BURSTABLE, "LS", {"main": 1000})
    for percent in (50, 60, 50):
        assert values(run_class(KubeQoS.BURSTABLE, [one], classes(ls=(percent, 0)))) == {"memory.min": 10 * percent}


def test_a_pods_new_limit_is_read_again():
    policy = classes(lsr=(50, 0))
    one = pod_of("p", KubeQoS.GUARANTEED, "LSR", limit=1000)
    assert values(run_class(KubeQoS.GUARANTEED, [one], policy)) == {"memory.min": 500}
    one.resources = Resources(memory_limit=3000)
    assert values(run_class(KubeQoS.GUARANTEED, [one], policy)) == {"memory.min": 1500}
