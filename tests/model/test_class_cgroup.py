"""The cgroups above the pods."""

from __future__ import annotations

import pytest

from koordnri.model import KubeQoS
from koordnri.model.class_cgroup import CLASS_IDS, ClassCgroup, HostCgroup, is_outer


@pytest.mark.parametrize(
    ("qos", "name", "key"), [(None, "root", "class:root"), (KubeQoS.BESTEFFORT, "BestEffort", "class:BestEffort")]
)
def test_name_and_key(qos: KubeQoS | None, name: str, key: str) -> None:
    cgroup = ClassCgroup(qos, "kubepods")
    assert (cgroup.name, cgroup.id) == (name, key)
    assert key in CLASS_IDS


def test_there_is_one_for_each_class_and_the_root() -> None:
    assert len(CLASS_IDS) == len(KubeQoS) + 1


def test_an_applications_key_is_its_directory_so_that_it_is_found_without_the_policy() -> None:
    cgroup = HostCgroup("nginx", "system.slice/nginx.service")
    assert (cgroup.name, cgroup.id) == ("host:nginx", "host:system.slice/nginx.service")
    assert HostCgroup.of_id(cgroup.id) == HostCgroup("nginx.service", cgroup.directory)
    assert HostCgroup.of_id("class:root") is None


@pytest.mark.parametrize(("key", "outer"), [("class:root", True), ("host:x", True), ("class:x", False), ("p1", False)])
def test_whose_key_it_is(key: str, outer: bool) -> None:
    assert is_outer(key) is outer
