"""A row of the field table: what it must say, and what the import of the table says when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.model import fields
from koordnri.model.difference import check_whole
from koordnri.model.field import Adjust, Field, FieldTableError, Nesting, Spelling, Writing
from koordnri.model.resources import check_baseline

FILE: dict[str, Any] = {"adjust": Adjust.FILE, "v2": ("memory.x",), "spelling": Spelling.NUMBER, "neutral": 0}
UNIFIED = FILE | {"adjust": Adjust.UNIFIED, "update": True}
IN_RESOURCES: dict[str, Any] = {
    "adjust": Adjust.RESOURCES,
    "place": "memory.swap.value",
    "update": True,
    "neutral": 0,
    "baseline": "memory_limit",
}


def row(columns: dict[str, Any]) -> Field:
    return Field("memory.x", "bytes", **columns)


@pytest.mark.parametrize("columns", [FILE, UNIFIED, IN_RESOURCES, {"adjust": Adjust.ENV}])
def test_a_whole_row_is_a_field(columns: dict[str, Any]) -> None:
    assert row(columns).named("") == "memory.x"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (FILE | {"adjust": "files"}, r"expected a member of Adjust as `adjust`, got 'files'"),
        (FILE | {"spelling": None}, "a cgroup file needs `spelling`"),
        (FILE | {"neutral": None}, "a cgroup file needs `neutral`"),
        (FILE | {"v2": ()}, "adjust=FILE needs `v1` or `v2`"),
        (FILE | {"v1": "memory.x"}, "v1='memory.x' needs its controller before it"),
        (
            FILE | {"v1": "pids/pids.max"},
            "v1='pids/pids.max' has a controller that is not one of cpu, cpuset, memory, blkio",
        ),
        (FILE | {"neutral": ""}, 'neutral="" needs `whole`'),
        (FILE | {"writing": Writing.VOIDABLE}, "writing=VOIDABLE and `void_while` need one another"),
        (FILE | {"void_while": fields.CPU_IDLE}, "writing=VOIDABLE and `void_while` need one another"),
        (
            FILE | {"writing": Writing.VOIDABLE, "void_while": fields.CPU_QUOTA},
            "void_while=<field cpu.quota> needs writing=VOIDS there",
        ),
        (FILE | {"v1_ceiling": "memory.y"}, "v1_ceiling='memory.y' needs `v1` and nesting=LIMIT"),
        (FILE | {"on_pod": True}, "on_pod and on_class need `baseline`"),
        (FILE | {"place": "memory.x.value"}, "place='memory.x.value' needs adjust=RESOURCES"),
        (UNIFIED | {"v1": "memory/memory.x", "v2": ()}, "adjust=UNIFIED needs `v2`"),
        (FILE | {"adjust": Adjust.PART}, "adjust=PART is only sent at creation"),
        (IN_RESOURCES | {"place": ""}, "adjust=RESOURCES needs `place`"),
        (IN_RESOURCES | {"baseline": ""}, "an update of LinuxResources needs `baseline`"),
        (IN_RESOURCES | {"neutral": None}, "update=True needs `neutral`"),
        (IN_RESOURCES | {"nesting": Nesting.LIMIT}, "spelling, nesting, errors, seen and in_sandbox need `v1` or `v2`"),
    ],
)
def test_a_row_without_a_column_that_it_needs_names_field_and_column(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldTableError, match=f"^field memory.x: {message}"):
        row(columns)


def test_a_baseline_that_resources_do_not_hold_is_named() -> None:
    with pytest.raises(FieldTableError, match=r"^field memory.x: baseline='swap' is no attribute of .*\.Resources$"):
        check_baseline(row(IN_RESOURCES | {"baseline": "swap"}))


def test_a_node_attribute_that_no_node_has_is_named() -> None:
    with pytest.raises(FieldTableError, match=r"^field memory.x: whole='disks' is no attribute of .*\.NodeState$"):
        check_whole(row(FILE | {"neutral": "", "whole": "disks"}))


@pytest.mark.parametrize(("idle", "void"), [(1, True), (0, False), (None, False)])
def test_shares_are_void_while_their_cgroup_is_idle(idle: int | None, void: bool) -> None:
    """None: the kernel has no such file."""
    values = {fields.CPU_IDLE: idle}
    assert fields.CPU_SHARES.is_void(values.__getitem__) is void


def test_a_field_that_no_other_one_voids_asks_for_no_value() -> None:
    assert not fields.CPU_QUOTA.is_void({}.__getitem__)


def test_the_key_of_a_field_with_a_file_is_a_disk() -> None:
    assert {f.name for f in fields.ALL if f.of_disk} == {f.name for f in fields.ALL if f.name.startswith("io.")}
    assert fields.ENV.keyed
    assert not fields.ENV.of_disk
