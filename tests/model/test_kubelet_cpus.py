"""CPUs in a request of kubelet. What they pin, tests/cpus/test_kubelet_pins.py has."""

from __future__ import annotations

import pytest

from koordnri.model import CPUSet, NodeState, Resources
from koordnri.model.kubelet_cpus import cpus_in, pinned_by_kubelet
from tests.support.pods import GUARANTEED, pod

STATIC = NodeState(kubelet_cpu_policy="static")


@pytest.mark.parametrize(("text", "cpus"), [("", ""), ("0-1,4", "0-1,4"), ("x", ""), ("2-", "")])
def test_a_text_that_is_no_list_names_no_cpus(text: str, cpus: str) -> None:
    assert cpus_in(text) == CPUSet.parse(cpus)


@pytest.mark.parametrize(
    ("shares", "quota", "cpus", "pinned"),
    [
        (2048, 200_000, "2-3", "2-3"),
        (2048, None, "2-3", "2-3"),  # since 1.33 kubelet may leave such containers without a quota
        (2048, 150_000, "2-3", ""),
        (1024, 100_000, "2-3", ""),
        (None, 200_000, "2-3", ""),
        (2048, 200_000, "", ""),
    ],
)
def test_as_many_cpus_as_requested_are_exclusive(shares: int | None, quota: int | None, cpus: str, pinned: str) -> None:
    found = pinned_by_kubelet(pod(parent=GUARANTEED), Resources(shares, quota, 100_000, cpus), STATIC)
    assert found == CPUSet.parse(pinned)
