"""How the owner of a pod wants exclusive CPUs to be chosen, and for which containers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koordnri.model import AnnotationError
from koordnri.model.pod import ContainerSpec, Pod, PodSpec
from koordnri.model.resource_spec import EXCLUSIVE_CPUS, RESOURCE_SPEC, ResourceSpec, owners_named, resource_spec
from tests.support.pods import pod


def asking(**policies: Any) -> Pod:
    return pod(annotations={RESOURCE_SPEC.key: json.dumps(policies)})


def test_policies_that_mean_nothing_are_none() -> None:
    assert resource_spec(pod()) == ResourceSpec()
    assert resource_spec(asking(preferredCPUBindPolicy="Default", preferredCPUExclusivePolicy="None")) == ResourceSpec()


def test_known_policies() -> None:
    spec = resource_spec(asking(requiredCPUBindPolicy="FullPCPUs", preferredCPUExclusivePolicy="PCPULevel"))
    assert spec == ResourceSpec("", "FullPCPUs", "PCPULevel")


def test_an_unknown_policy_is_the_owners_mistake() -> None:
    with pytest.raises(
        AnnotationError, match='preferredCPUBindPolicy: expected FullPCPUs or SpreadByPCPUs, got "Full"'
    ):
        resource_spec(asking(preferredCPUBindPolicy="Full"))


@pytest.mark.parametrize(("annotations", "expected"), [({}, None), ({EXCLUSIVE_CPUS.key: ["main"]}, ["main"])])
def test_containers_that_are_named(annotations: dict[str, Any], expected: list[str] | None) -> None:
    spec = PodSpec({"main": ContainerSpec({}, {}), "side": ContainerSpec({}, {})})
    assert (
        owners_named(pod(annotations=annotations)) == owners_named(pod(annotations=annotations, spec=spec)) == expected
    )


def test_a_container_that_the_spec_lacks_is_the_owners_mistake_once_the_spec_is_known() -> None:
    named = {EXCLUSIVE_CPUS.key: ["sidecra"]}
    assert owners_named(pod(annotations=named)) == ["sidecra"]
    with pytest.raises(AnnotationError, match=r'expected names of containers \(main\), got "sidecra"'):
        owners_named(pod(annotations=named, spec=PodSpec({"main": ContainerSpec({}, {})})))
