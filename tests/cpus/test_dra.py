"""CPUs that a DRA driver gave to a container."""

from __future__ import annotations

import pytest

from koordnri.cpus.allocator import Allocator
from koordnri.cpus.dra import MOST_CHARACTERS, dra_cpus
from koordnri.model import CPUSet
from tests.cpus.one_allocator import NODE, give, pools


@pytest.mark.parametrize(
    ("env", "cpus"),
    [
        (["PATH=/bin", "DRA_CPUSET_claim-1=2-3", "DRA_CPUSET_claim-2=8"], "2-3,8"),
        (["XDRA_CPUSET_a=1", "DRA_CPUSET=1", "dra_cpuset_a=1"], ""),
        (["DRA_CPUSET_a=all", "DRA_CPUSET_b=", "DRA_CPUSET_c"], ""),
    ],
)
def test_what_a_dra_driver_gave_is_read_from_the_environment(env, cpus):
    assert str(dra_cpus(env)) == cpus


def test_of_lists_that_are_too_long_in_all_the_first_are_read():
    half = "DRA_CPUSET_a=" + "1," * (MOST_CHARACTERS // 4) + "1"
    assert str(dra_cpus([half, half, "DRA_CPUSET_b=2"])) == "1"
    assert str(dra_cpus(["X=" + "1," * MOST_CHARACTERS, "DRA_CPUSET_b=2"])) == "2", "other variables do not count"


def test_what_a_dra_driver_gave_is_nobody_elses_and_goes_with_its_pod():
    allocator = Allocator()
    allocator.note_dra("uid-d", "main", CPUSet([0, 8]))
    assert give(allocator, "a") == "1,9"
    node = allocator.applied(NODE)
    assert node.dra_cpus == {"uid-d": {"main": CPUSet.parse("0,8")}}
    assert pools(*node.ls_pools) == ["2-3,10-11", "4-7,12-15"]
    assert pools(*node.be_pools) == ["1-3,9-11", "4-7,12-15"]
    allocator.forget_pod("uid-d")
    allocator.forget_pod("uid-a")
    assert allocator.applied(NODE) is NODE
