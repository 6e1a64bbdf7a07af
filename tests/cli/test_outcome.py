"""What a container really got, read from its spec."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.cli.outcome import result_of, value_in
from koordnri.model import UNLIMITED, NodeState, Setting, fields
from koordnri.model.field import Field
from koordnri.model.routes import ADJUST
from koordnri.wire import api_pb2 as api
from tests.support.messages import container

NODE = NodeState(cgroup_version=2, cgroup_files=frozenset({"memory.high", "io.max"}), block_devices={"/dev/sda": "8:0"})
UNIFIED = {"memory.high": "max", "io.max": "8:0 rbps=1024"}


def spec() -> api.Container:
    made = container(env=["A=1", "A=2", "B=x=y"], annotations={"k": "v"})
    made.mounts.add(source="/usr/lib/x", destination="/lib/x", type="bind", options=["ro"])
    made.linux.devices.add(path="/dev/x", type="c", major=195, minor=1)
    resources = made.linux.resources
    resources.cpu.cpus, resources.cpu.quota.value = "2-3", -1
    resources.unified.update(UNIFIED)
    return made


@pytest.mark.parametrize(
    ("field", "key", "value"),
    [
        (fields.CPU_CPUS, "", "2-3"),
        (fields.CPU_QUOTA, "", -1),
        (fields.CPU_PERIOD, "", None),
        (fields.MEMORY_HIGH, "", UNLIMITED),
        (fields.IO_MAX, "/dev/sda", "rbps=1024"),
        (fields.ENV, "A", "2"),  # of a variable that is there twice the last counts
        (fields.ENV, "B", "x=y"),
        (fields.ENV, "C", None),
        (fields.RDT_CLOSID, "", None),
    ],
)
def test_a_value_is_that_of_the_spec(field: Field, key: str, value: Any) -> None:
    decided = "rbps=1024" if field is fields.IO_MAX else value
    assert value_in(spec(), Setting(field, key, decided, "hook", "reason", ADJUST), NODE) == value


def test_the_whole_result() -> None:
    found = result_of(spec())
    assert found["resources"] == {"cpu.cpus": "2-3", "cpu.quota": -1}
    assert found["unified"] == UNIFIED
    assert (found["env"], found["annotations"]) == ({"A": "2", "B": "x=y"}, {"k": "v"})
    assert found["mounts"] == {"/lib/x": {"source": "/usr/lib/x", "type": "bind", "options": ["ro"]}}
    assert found["devices"]["/dev/x"]["major"] == 195
