"""The CPUs that a scheduler assigned to a pod."""

from __future__ import annotations

import pytest

from koordnri.model import AnnotationError, CPUSet
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.assigned import assigned_cpus, assigned_or_none, is_assigned
from koordnri.model.pod import Pod
from tests.support.pods import pod

NUMA = '{"numaNodeResources": [{"node": 1, "resources": {"cpu": "2"}}]}'


def with_status(text: str) -> Pod:
    return pod(annotations={RESOURCE_STATUS.key: text})


@pytest.mark.parametrize(
    ("text", "cpus", "assigned"),
    [
        ('{"cpuset": "2-3"}', "2-3", True),
        ('{"cpuset": " 2 "}', "2", True),
        ('{"cpuset": ""}', "", False),
        (NUMA, "", True),
    ],
)
def test_what_the_annotation_names(text: str, cpus: str, assigned: bool) -> None:
    one = with_status(text)
    assert assigned_cpus(one) == assigned_or_none(one) == CPUSet.parse(cpus)
    assert is_assigned(one) is assigned


def test_without_the_annotation_nothing_is_assigned() -> None:
    assert assigned_cpus(pod()) == assigned_or_none(pod()) == CPUSet()
    assert not is_assigned(pod())


@pytest.mark.parametrize("text", ["{", '{"cpuset": "2-"}', '{"cpuset": 5}'])
def test_what_cannot_be_parsed_is_an_error_each_time_and_counts_as_nothing(text: str) -> None:
    one = with_status(text)
    for _ in range(2):
        with pytest.raises(AnnotationError, match=f"^annotation {RESOURCE_STATUS.key}: "):
            assigned_cpus(one)
    assert assigned_or_none(one) == CPUSet()
    assert not is_assigned(one)


def test_a_bad_text_is_a_new_error_each_time() -> None:
    one, errors = with_status('{"cpuset": "2-"}'), []
    for _ in range(2):
        with pytest.raises(AnnotationError) as caught:
            assigned_cpus(one)
        errors.append(caught.value)
    assert errors[0] is not errors[1], "one that is raised again and again collects tracebacks"
