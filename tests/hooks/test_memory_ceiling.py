"""memory.high while the memory staircase wants a ceiling of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.memory import Memory

from koordnri.model import NodeState, Resources
from koordnri.model.control import Control, Wanted
from koordnri.model.routes import CONTROL
from tests.hooks.blocks import v1
from tests.hooks.memory_pods import DEFAULT, GI, MI, batch, be, classes
from tests.hooks.one_hook import context, run, values
from tests.support.pods import BESTEFFORT, pod

THROTTLED = classes(be=(0, 0, 50))


def short(high_bytes, container="c1", node=None):
    control = Control(memory_high_bytes={container: Wanted(high_bytes, "short")})
    if node is not None:
        return NodeState(cgroup_version=1, cgroup_files=node.cgroup_files, control=control)
    return NodeState(memory_bytes=16 * GI, control=control)


def controlled(one, node, policy=DEFAULT, baseline=None):
    decision = run(Memory(), context(one, baseline or Resources(), node, policy))
    return {name: setting.value for name, setting in decision.controlled.items()}


@pytest.mark.parametrize(
    ("one", "policy", "wanted", "expected"),
    [
        pytest.param(be(main=batch(0, 2 * GI)), DEFAULT, GI, GI, id="nothing-else-is-decided"),
        pytest.param(pod("BE", BESTEFFORT), DEFAULT, GI, GI, id="no-batch-memory"),
        pytest.param(be(main=batch(0, 4 * GI)), THROTTLED, GI, GI, id="below-what-is-decided"),
        pytest.param(be(main=batch(0, 2 * GI)), THROTTLED, GI + MI, None, id="above-what-is-decided"),
        pytest.param(be(main=batch(0, GI)), DEFAULT, GI, None, id="at-the-limit"),
        pytest.param(be(main=batch(GI, 2 * GI)), DEFAULT, 100 * MI, GI, id="not-below-the-request"),
        pytest.param(be(main=batch(2 * GI, 2 * GI)), DEFAULT, GI, None, id="the-request-is-the-limit"),
        pytest.param(be(main=batch(0, 2 * GI)), DEFAULT, GI + 5, GI, id="whole-pages"),
    ],
)
def test_the_lower_of_ceiling_and_decision_but_not_below_the_request(one, policy, wanted, expected):
    got = controlled(one, short(wanted), policy)
    assert got == ({} if expected is None else {"memory.high": expected})


@pytest.mark.parametrize("name", ["memory.min", "memory.low"])
def test_not_below_what_kubelet_protects(name):
    baseline = Resources(unified={name: str(GI)})
    assert controlled(be(main=batch(0, 2 * GI)), short(100 * MI), baseline=baseline) == {"memory.high": GI}


def test_not_above_kubelets_own_memory_high():
    baseline = Resources(unified={"memory.high": str(GI)})
    assert controlled(be(main=batch(0, 4 * GI)), short(2 * GI), baseline=baseline) == {}


def test_the_ceiling_is_written_and_never_recorded_and_what_is_decided_stays():
    decision = run(Memory(), context(be(main=batch(0, 4 * GI)), Resources(), short(GI), THROTTLED))
    assert values(decision)["memory.high"] == 2 * GI
    [setting] = decision.controlled.values()
    assert (setting.value, setting.reason, setting.route) == (GI, "short", CONTROL)


def test_other_containers_are_left_alone():
    assert controlled(be(main=batch(0, 2 * GI)), short(GI, "another")) == {}


def test_cgroup_v1_has_no_memory_high():
    decision = run(Memory(), context(be(main=batch(0, 2 * GI)), Resources(), short(GI, node=v1()), DEFAULT))
    assert decision.controlled == {}
    assert "memory.high" in decision.skipped


def test_bad_batch_memory_gets_no_ceiling():
    assert controlled(be(main=batch("1 GiB", "2Gi")), short(GI)) == {}


@given(
    st.integers(0, 4 * GI),
    st.integers(0, 4 * GI),
    st.integers(1, 4 * GI),
    st.tuples(*[st.integers(0, 100)] * 3),
)
def test_the_ceiling_is_never_below_request_min_and_low_and_never_raises_anything(wanted, request, limit, percents):
    policy = classes(be=percents)
    decision = run(Memory(), context(be(main=batch(request, limit)), Resources(), short(wanted), policy))
    decided = values(decision)
    for setting in decision.controlled.values():
        assert setting.value >= max(request, decided.get("memory.min", 0), decided.get("memory.low", 0))
        assert setting.value < min(limit, decided.get("memory.high", limit))
