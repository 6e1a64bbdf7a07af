"""oom_score_adj: by container, by pod, by class."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.memory import Memory

from koordnri.model.annotations import OOM_SCORE_ADJ, OOM_SCORE_ADJ_SPEC
from koordnri.policy import PolicyError
from koordnri.policy.trust import believed
from tests.hooks.one_hook import context, faults, run, values
from tests.support.pods import BESTEFFORT, GUARANTEED, pod
from tests.support.policies import policy_of

POD, SPEC = OOM_SCORE_ADJ.key, OOM_SCORE_ADJ_SPEC.key
BY_CLASS = policy_of(
    koordnri_config={"hooks": {"memory": {"oomScoreAdj": {"be": 1000, "lsr": -900, "ls": 10, "system": 0}}}}
)


def decided(annotations: dict[str, Any], policy: Any = BY_CLASS, name: str = "main") -> Any:
    return run(Memory(), context(pod("LS", annotations=annotations), policy=policy, name=name))


@pytest.mark.parametrize(
    ("qos", "parent", "score"),
    [
        ("BE", BESTEFFORT, 1000),
        ("LSE", GUARANTEED, -900),
        ("LS", None, 10),
        ("SYSTEM", None, 0),
        ("", BESTEFFORT, 1000),
    ],
)
def test_the_policys_score_of_the_class(qos: str, parent: str | None, score: int) -> None:
    assert values(run(Memory(), context(pod(qos, parent), policy=BY_CLASS))) == {"oom_score_adj": score}


def test_without_annotation_and_policy_kubelets_score_stays() -> None:
    assert values(run(Memory(), context(pod("LS")))) == {}


@pytest.mark.parametrize(
    ("annotations", "name", "score"),
    [
        ({POD: "-500"}, "main", -500),
        ({POD: "-500", SPEC: {"main": 100}}, "main", 100),
        ({POD: "-500", SPEC: {"main": 100}}, "side", -500),
        ({SPEC: {"side": 0}}, "side", 0),
        ({SPEC: {"side": 0}}, "main", 10),
        ({POD: "+7"}, "main", 7),
    ],
)
def test_the_containers_entry_goes_over_the_pods_and_that_over_the_class(
    annotations: dict[str, Any], name: str, score: int
) -> None:
    assert values(decided(annotations, name=name)) == {"oom_score_adj": score}


@pytest.mark.parametrize("text", ["1001", "-1001", "abc", "", "1.5", "9" * 5000])
def test_a_score_that_cannot_be_read_is_reported_and_the_class_counts(text: str) -> None:
    decision = decided({POD: text})
    assert values(decision) == {"oom_score_adj": 10}
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert "expected a whole number from -1000 to 1000" in message or "characters" in message


def test_a_spec_with_a_score_out_of_range_is_reported_and_the_pods_counts() -> None:
    decision = decided({POD: "5", SPEC: {"main": 2000}})
    assert values(decision) == {"oom_score_adj": 5}
    [(_, message)] = faults(decision)
    assert message.startswith(f"annotation {SPEC}: main: expected a whole number from -1000 to 1000, got 2000")


@pytest.mark.parametrize(("namespaces", "counts"), [([], False), (["shop"], True)])
def test_annotations_count_where_the_trust_rule_believes_them(namespaces: list[str], counts: bool) -> None:
    policy = policy_of(koordnri_config={"trust": {"oomScore": {"namespaces": namespaces}}})
    found = believed(pod(annotations={POD: "-900", SPEC: {"main": -900}}), policy.trust)
    assert (POD in found.annotations, SPEC in found.annotations) == (counts, counts)
    assert [(v.rule, v.counts) for v in found.verdicts] == [("oomScore", counts)]


def test_a_class_that_does_not_exist_is_a_mistake_of_the_policy() -> None:
    with pytest.raises(PolicyError, match=r"hooks\.memory\.oomScoreAdj\.best: expected a class"):
        policy_of(koordnri_config={"hooks": {"memory": {"oomScoreAdj": {"best": 1}}}})
