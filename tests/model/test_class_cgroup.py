"""The cgroups above the pods."""

from __future__ import annotations

import pytest

from koordnri.model import KubeQoS
from koordnri.model.class_cgroup import CLASS_IDS, ClassCgroup


@pytest.mark.parametrize(
    ("qos", "name", "key"), [(None, "root", "class:root"), (KubeQoS.BESTEFFORT, "BestEffort", "class:BestEffort")]
)
def test_name_and_key(qos: KubeQoS | None, name: str, key: str) -> None:
    cgroup = ClassCgroup(qos, "kubepods")
    assert (cgroup.name, cgroup.id) == (name, key)
    assert key in CLASS_IDS


def test_there_is_one_for_each_class_and_the_root() -> None:
    assert len(CLASS_IDS) == len(KubeQoS) + 1
