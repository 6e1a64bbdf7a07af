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


@pytest.mark.parametrize(
    ("application", "place"),
    [
        ({"name": "nginx", "qos": "LS"}, ("CgroupRoot", "host-latency-sensitive/nginx")),
        ({"name": "job", "qos": "BE"}, ("CgroupRoot", "host-best-effort/job")),
        ({"name": "agent", "qos": "SYSTEM"}, ("CgroupRoot", "agent")),
        ({"name": "a", "cgroupPath": {"parentDir": "/x.slice/", "relativePath": "./y"}}, ("CgroupRoot", "x.slice/y")),
        ({"name": "a", "cgroupPath": {"base": "Kubepods", "relativePath": "y"}}, ("Kubepods", "y")),
        ({"name": "a", "cgroupPath": {"base": "Kubepods"}}, ("Kubepods", "")),
        ({"name": "./kubepods.slice//x/", "qos": "SYSTEM"}, ("CgroupRoot", "kubepods.slice/x")),
        ({"name": "/nginx", "qos": "LS"}, ("CgroupRoot", "host-latency-sensitive/nginx")),
    ],
)
def test_where_its_cgroup_is(application: dict[str, Any], place: tuple[str, str]) -> None:
    assert applications(application)[0].place == place


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ({"relativePath": "system.slice/nginx.service"}, ""),
        ({"relativePath": "system.slice"}, '"system.slice" is a cgroup of the system, of kubelet or of the runtime'),
        ({"relativePath": "system.slice/containerd.service/x"}, '"containerd.service" is a cgroup of the system'),
        ({"relativePath": "/"}, "cgroupPath names no cgroup of its own below the base"),
        ({"relativePath": "a\nb"}, 'expected a path without ".." and control characters'),
    ],
)
def test_what_may_not_be_an_applications_cgroup(path: dict[str, str], problem: str) -> None:
    found = applications({"name": "a", "qos": "LS", "cgroupPath": path})[0].why_not
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def test_a_name_with_dots_does_not_lead_out_of_the_cgroups() -> None:
    assert applications({"name": "../..", "qos": "LS"})[0].why_not.startswith('expected a path without ".."')


@pytest.mark.parametrize("qos", ["SYSTEM", "LS", "BE"])
@pytest.mark.parametrize("name", [".", "/", "./."])
def test_a_name_alone_never_means_the_root_or_all_applications(name: str, qos: str) -> None:
    assert applications({"name": name, "qos": qos})[0].why_not == "its name names no cgroup of its own below the base"


def test_another_spelling_of_a_cgroup_of_the_system_is_refused_too() -> None:
    assert "is a cgroup of the system" in applications({"name": "./system.slice", "qos": "SYSTEM"})[0].why_not


def test_without_a_class_there_is_nothing_to_give() -> None:
    assert applications({"name": "a"})[0].why_not == "it has no qos, and so nothing that a class gives"
