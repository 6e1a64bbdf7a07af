"""The route of each field on one kind of node. tests/model/test_fields.py has the whole tables."""

from __future__ import annotations

import pytest

from koordnri.model import fields
from koordnri.model.field import Field
from koordnri.model.routes import (
    ADJUST,
    REPLY,
    RESCTRL,
    WRITE,
    Refusal,
    container_routes,
    pod_routes,
    root_routes,
)

V2 = frozenset({"memory.high", "cpu.max", "cpu.idle"})


@pytest.mark.parametrize(
    ("field", "creating", "version", "route"),
    [
        (fields.CPU_QUOTA, True, 2, ADJUST),
        (fields.CPU_QUOTA, False, 2, REPLY),
        (fields.MEMORY_HIGH, True, 2, ADJUST),
        (fields.CPU_IDLE, True, 2, WRITE),
        (fields.RDT_CLOSID, True, 2, ADJUST),
        (fields.RDT_CLOSID, False, 2, RESCTRL),
    ],
)
def test_a_containers_route(field: Field, creating: bool, version: int, route: str) -> None:
    assert container_routes(creating, version, V2)[field] == route


def test_a_field_without_a_file_is_refused_with_the_reason() -> None:
    routes = container_routes(True, 2, V2)
    assert isinstance(routes[fields.MEMORY_MIN], Refusal)
    assert routes[fields.MEMORY_MIN] == "this kernel has no memory.min"
    assert container_routes(True, 1, frozenset())[fields.MEMORY_HIGH] == "cgroup v1 has no memory.high"


def test_all_of_a_pods_fields_are_files() -> None:
    assert {str(r) for f, r in pod_routes(2, V2).items() if not isinstance(r, Refusal)} == {WRITE}
    assert pod_routes(2, V2)[fields.ENV] == f"{fields.ENV.name} is not a cgroup setting"


def test_of_the_root_only_files_that_were_seen_there_are_written() -> None:
    seen = frozenset({"memory.high"})
    assert [f for f, r in root_routes(2, seen).items() if r == WRITE] == [fields.MEMORY_HIGH]
