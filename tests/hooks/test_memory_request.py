"""A pod's memory request, from where it is known."""

import pytest
from koordnri_hooks.memory import Memory
from koordnri_hooks.memory_request import NO_REQUEST

from koordnri.model import Resources
from koordnri.model.errors import PodError
from koordnri.model.pod import ContainerSpec, PodSpec
from tests.hooks.memory_pods import ALL_CLASSES, GI, NO_WATERMARKS, NODE, batch, be, classes, guaranteed
from tests.hooks.one_hook import context, run, run_pod, values
from tests.support.pods import BESTEFFORT, pod


def test_BestEffort_requests_nothing_so_nothing_is_protected():
    decision = run(Memory(), context(pod("", BESTEFFORT), policy=ALL_CLASSES))
    assert (decision.settings, decision.skipped) == ({}, NO_WATERMARKS)


@pytest.mark.parametrize(
    ("one", "baseline", "least"),
    [
        pytest.param(guaranteed(), Resources(memory_limit=1000), 100, id="Guaranteed-requests-its-limit"),
        pytest.param(
            pod("LS", spec=PodSpec({"main": ContainerSpec({}, {"memory": 1000})})),
            Resources(),
            200,
            id="spec-limit-only",
        ),
        pytest.param(
            pod("LS", spec=PodSpec({"main": ContainerSpec({"memory": "500"}, {"memory": "1k"})})),
            Resources(),
            100,
            id="spec",
        ),
        pytest.param(pod("LS", spec=PodSpec({"main": ContainerSpec({}, {})})), Resources(), None, id="spec-of-nothing"),
        pytest.param(be(main=batch(1000)), Resources(), 300, id="BE-batch-memory"),
    ],
)
def test_the_request_comes_from_where_it_is_known(one, baseline, least):
    decision = run(Memory(), context(one, baseline, policy=ALL_CLASSES))
    assert values(decision).get("memory.min") == least
    assert "memory.min" not in decision.skipped


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(pod("LS"), id="Burstable-without-spec"),
        pytest.param(pod("LS", spec=PodSpec({"other": ContainerSpec({}, {})})), id="spec-without-the-container"),
        pytest.param(guaranteed("LS"), id="Guaranteed-without-limit"),
    ],
)
def test_an_unknown_request_is_reported_and_never_guessed(one):
    decision = run(Memory(), context(one, policy=classes(ls=(10, 10, 10)), node=NODE))
    assert values(decision) == {}
    assert decision.skipped == dict.fromkeys(("memory.min", "memory.low", "memory.high"), NO_REQUEST) | NO_WATERMARKS


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(pod("LS", resources=Resources(memory_limit=GI)), id="Burstable-whose-limit-is-no-request"),
        pytest.param(guaranteed("LS"), id="Guaranteed-without-limit"),
    ],
)
def test_a_pods_unknown_request_is_reported_and_never_guessed(one):
    decision = run_pod(Memory(), one, NODE, classes(ls=(10, 10, 10)))
    assert values(decision) == {}
    assert {"memory.min": NO_REQUEST, "memory.low": NO_REQUEST}.items() <= decision.skipped.items()


def test_a_bad_quantity_of_the_spec_names_the_spec():
    one = pod("LS", spec=PodSpec({"main": ContainerSpec({"memory": "much"}, {})}))
    with pytest.raises(PodError, match=r"^spec\.containers\.main: memory: expected a quantity"):
        run(Memory(), context(one, policy=ALL_CLASSES))
