"""Init containers run one after the other, before all others: a pod has what runs together at any time, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.cfs_quota import CFSQuota
from koordnri_hooks.memory import Memory

from koordnri.model.phases import most_together
from koordnri.model.pod import ContainerSpec, PodSpec
from tests.hooks.one_hook import run_pod, values
from tests.support.pods import BESTEFFORT, BURSTABLE, pod
from tests.support.policies import policy_of

CPU, MEMORY = "kubernetes.io/batch-cpu", "kubernetes.io/batch-memory"
PROTECT = policy_of(
    resource_qos_config={
        "clusterStrategy": {f"{c}Class": {"memoryQOS": {"enable": True, "minLimitPercent": 100}} for c in ("ls", "be")}
    }
)
MIB = 1 << 20


def spec(resource, *containers):
    """(name, amount, whether it is an init container that ends), in the spec's order."""
    return PodSpec({n: ContainerSpec({resource: a}, {resource: a}, init) for n, a, init in containers})


@pytest.mark.parametrize(
    ("containers", "most"),
    [
        pytest.param([("a", 1, False), ("b", 2, False)], 3, id="all-together"),
        pytest.param([("i", 1, True), ("a", 2, False)], 2, id="a-small-init-container"),
        pytest.param([("i", 5, True), ("a", 2, False)], 5, id="a-large-init-container"),
        pytest.param([("i", 5, True), ("j", 4, True), ("a", 2, False)], 5, id="one-after-the-other"),
        pytest.param([("s", 1, False), ("i", 5, True), ("a", 2, False)], 6, id="beside-a-sidecar-before-it"),
        pytest.param([("i", 5, True), ("s", 1, False), ("a", 2, False)], 5, id="not-beside-a-sidecar-after-it"),
        pytest.param([("i", 5, True)], 5, id="alone"),
    ],
)
def test_what_runs_at_the_same_time_counts_together(containers, most):
    amounts = {name: amount for name, amount, _ in containers}
    assert most_together(pod(spec=spec("x", *containers)), amounts) == most
    assert most_together(pod(), amounts) == sum(amounts.values()), "nobody knows who ends before the others"


def test_who_is_not_in_the_spec_runs_with_the_others():
    assert most_together(pod(spec=spec("x", ("i", 9, True), ("a", 2, False))), {"i": 9, "a": 2, "b": 8}) == 10


def test_a_BE_pod_gets_no_more_shares_and_quota_by_init_containers():
    one = pod("BE", BESTEFFORT, spec=spec(CPU, *((f"i{n}", 1000, True) for n in range(50)), ("main", 1000, False)))
    assert values(run_pod(CFSQuota(), one)) == {"cpu.shares": 1024, "cpu.quota": 100_000}


def test_a_BE_pod_gets_no_larger_memory_limit_nor_protection_by_init_containers():
    one = pod("BE", BESTEFFORT, spec=spec(MEMORY, *((f"i{n}", MIB, True) for n in range(50)), ("main", 2 * MIB, False)))
    got = values(run_pod(Memory(), one, policy=PROTECT))
    assert (got["memory.limit"], got["memory.min"]) == (2 * MIB, 2 * MIB)


def test_no_pod_is_protected_by_more_than_what_it_was_placed_for():
    one = pod("LS", BURSTABLE, spec=spec("memory", ("i", 3 * MIB, True), ("j", 3 * MIB, True), ("main", MIB, False)))
    assert values(run_pod(Memory(), one, policy=PROTECT))["memory.min"] == 3 * MIB


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=8))
def test_never_more_than_the_sum_nor_less_than_what_runs_at_any_time(drawn):
    containers = [(f"c{i}", amount, init) for i, (amount, init) in enumerate(drawn)]
    amounts = {name: amount for name, amount, _ in containers}
    most = most_together(pod(spec=spec("x", *containers)), amounts)
    assert most <= sum(amounts.values())
    assert most >= sum(a for _, a, init in containers if not init)
    for i, (_, amount, init) in enumerate(containers):
        if init:
            assert most >= amount + sum(a for _, a, ends in containers[:i] if not ends)
