"""What feedback controllers hold, for people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koordnri.answers.controllers import controllers_shape, suppressed_cpus
from koordnri.model import CPUSet, NodeState
from koordnri.model.control import NO_CONTROL, Control, Wanted
from koordnri.model.topology import Topology

NODE = NodeState(topology=Topology.regular(1, 1, 4, 2))
CPUS = Control(be_cpus=Wanted(CPUSet.parse("0-2"), "services need CPUs"))


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (NO_CONTROL, 0),
        (CPUS, 5),
        (Control(be_quota_us=Wanted(150_000, "x")), 6.5),
        (Control(be_quota_us=Wanted(10**7, "x")), 0),
    ],
)
def test_suppressed_cpus_are_those_that_best_effort_work_lacks(control, expected):
    assert suppressed_cpus(replace(NODE, control=control)) == expected
    assert suppressed_cpus(NodeState(control=control)) is None


def test_the_shape_names_modes_and_values():
    shape = controllers_shape(replace(NODE, control=CPUS), {"cpuSuppress": "enforce"})
    assert shape["modes"] == {"cpuSuppress": "enforce"}
    assert shape["bestEffort"] == {"cpus": "0-2", "quotaMicroseconds": None, "reason": "services need CPUs"}
    control = Control(quotas_us={"a": Wanted(1, "x")}, memory_high_bytes={"a": Wanted(1, "x"), "b": Wanted(2, "x")})
    shape = controllers_shape(replace(NODE, control=control), {})
    assert (shape["bestEffort"], shape["raisedQuotas"], shape["loweredMemory"]) == (None, 1, 2)
