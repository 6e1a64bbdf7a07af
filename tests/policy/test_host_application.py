"""Processes outside of Kubernetes that a policy names."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.policy import PolicyError
from tests.support.policies import policy_of


def applications(*some: dict[str, Any]) -> Any:
    return policy_of(host_application_config={"applications": list(some)}).host_applications


def test_a_policy_names_none_by_default() -> None:
    assert not policy_of().host_applications


def test_an_application_has_a_class_and_a_cgroup() -> None:
    (found,) = applications({"name": "nginx", "qos": "LS", "cgroupPath": {"relativePath": "nginx"}})
    assert (found.name, found.qos, found.cgroup_path.relative_path) == ("nginx", "LS", "nginx")
    assert found.cgroup_path.base == "CgroupRoot"


@pytest.mark.parametrize(
    "wrong", [{"qos": "LS"}, {"name": "nginx", "qos": 5}, {"name": "nginx", "cgroupPath": "nginx"}]
)
def test_a_mistake_names_the_application(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match=r"applications\[1\]"):
        applications({"name": "good"}, wrong)
