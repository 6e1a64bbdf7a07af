"""What of the controllers' wishes a pod's decisions may read."""

from __future__ import annotations

import pytest

from koordnri.model import CPUSet
from koordnri.model.control import NO_CONTROL, Control, Wanted
from tests.support.pods import pod as pod_of

LS = pod_of("LS", "/kubepods/burstable/ls")
BE = pod_of("BE", "/kubepods/besteffort/be")
BE_ELSEWHERE = pod_of("BE", "/kubepods/burstable/be")
CPUS = Control(be_cpus=Wanted(CPUSet.parse("0-1"), "x"))


def test_without_wishes_nothing_concerns_a_pod():
    assert NO_CONTROL.of_pod(BE, ["a"], 1) == Control().of_pod(BE, ["a"], 1) == ()


@pytest.mark.parametrize(("pod", "version", "concerned"), [
    (LS, 1, False), (LS, 2, False), (BE, 1, True), (BE, 2, False), (BE_ELSEWHERE, 1, True), (BE_ELSEWHERE, 2, True),
])  # fmt: skip
def test_cpus_concern_best_effort_pods_that_no_class_cgroup_bounds(pod, version, concerned):
    assert bool(CPUS.of_pod(pod, ["a"], version)) is concerned


def test_other_cpus_are_another_wish_and_another_reason_is_none():
    other = Control(be_cpus=Wanted(CPUSet.parse("0"), "x"))
    assert other.of_pod(BE, [], 1) != CPUS.of_pod(BE, [], 1)
    same = Control(be_cpus=Wanted(CPUSet.parse("0-1"), "y"))
    assert same.of_pod(BE, [], 1) == CPUS.of_pod(BE, [], 1)


def test_of_the_quota_of_all_best_effort_work_only_its_existence_concerns_a_pod():
    one, two = (Control(be_quota_us=Wanted(quota_us, "x")) for quota_us in (2_000, 50_000))
    assert one.of_pod(BE, [], 2) == two.of_pod(BE, [], 2) != ()
    assert one.of_pod(LS, [], 2) == ()


def test_a_containers_values_concern_its_pod_alone():
    control = Control(quotas_us={"a": Wanted(5, "x")}, memory_high_bytes={"b": Wanted(5, "x")})
    assert control.of_pod(LS, ["a"], 2) != control.of_pod(LS, ["b"], 2)
    assert control.of_pod(LS, ["c"], 2) == ()
