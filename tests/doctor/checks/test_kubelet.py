"""kubelet's managers and cgroup driver."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koordnri.doctor.facts import KubeletFacts, RuntimeConfig, RuntimeFacts
from tests.doctor.well import WELL, codes, crio, runtime


@pytest.mark.parametrize(
    ("kubelet", "expected"),
    [
        (KubeletFacts(cpu_policy="static"), ["KN0301"]),
        (KubeletFacts(memory_policy="Static"), ["KN0302"]),
        (KubeletFacts(memory_policy="None"), []),
        (KubeletFacts(cgroups_per_qos=False), ["KN0304"]),
        (KubeletFacts(cgroups_per_qos=True), []),
        (KubeletFacts(state_replaced=True), ["KN0305"]),
        (KubeletFacts(state_found=False), ["KN0306"]),
    ],
)
def test_kubelets_managers(kubelet: KubeletFacts, expected: list[str]) -> None:
    assert codes(replace(WELL, kubelet=kubelet)) == expected


@pytest.mark.parametrize(
    ("its", "systemd", "driver", "expected"),
    [
        (runtime("1.7.30"), True, "cgroupfs", ["KN0303"]),
        (runtime("1.7.30"), False, "systemd", ["KN0303"]),
        (runtime("1.7.30"), True, "systemd", []),
        (runtime("1.7.30"), None, "systemd", []),
        (runtime("1.7.30"), True, None, []),
        (runtime("2.0.0"), True, "cgroupfs", []),  # it asks kubelet
        (crio("1.27.4"), True, "cgroupfs", ["KN0303"]),
    ],
)
def test_cgroup_drivers(its: RuntimeFacts, systemd: bool | None, driver: str | None, expected: list[str]) -> None:
    config = RuntimeConfig("/file", enabled=True, systemd_cgroup=systemd)
    facts = replace(WELL, runtime=replace(its, config=config), kubelet=KubeletFacts(cgroup_driver=driver))
    assert [code for code in codes(facts) if code.startswith("KN03")] == expected
