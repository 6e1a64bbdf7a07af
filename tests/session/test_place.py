"""Where NRI's LinuxResources carries a field: the paths of the field table, tried on the messages themselves."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from koordnri.model import Field, fields
from koordnri.model.field import Adjust, FieldTableError
from koordnri.session.place import place_of, places_in, value_at
from koordnri.session.translate import check_read, resources_from
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views

PLACED = [f for f in fields.ALL if f.place]
ASKED = [f for f in PLACED if f.baseline]


def sample(field: Field) -> int | str:
    return 1 if isinstance(field.neutral, int) or field is fields.PIDS_LIMIT else "1"


def row(place: str, baseline: str = "") -> Field:
    return Field("swap", "bytes", Adjust.RESOURCES, place=place, neutral=0, baseline=baseline)


def filled(field: Field, resources: type[Message]) -> Any:
    place, message = place_of(field, resources), resources()
    setattr(place.holder(message), place.attribute, sample(field))
    return message


@pytest.mark.parametrize("field", PLACED, ids=lambda f: f.name)
def test_what_is_put_at_a_fields_place_is_found_there_and_nowhere_else(field: Field) -> None:
    message = filled(field, api.LinuxResources)
    found = {other: value_at(message, other) for other in PLACED}
    assert {other: value for other, value in found.items() if value is not None} == {field: sample(field)}
    assert places_in(api.LinuxResources).keys() == set(PLACED)


@pytest.mark.parametrize("field", ASKED, ids=lambda f: f.name)
def test_what_kubelet_asks_at_a_fields_place_becomes_its_baseline(field: Field) -> None:
    resources = resources_from(filled(field, views.LinuxResources))
    assert getattr(resources, field.baseline) == sample(field)


def test_an_optional_number_of_0_is_set() -> None:
    assert value_at(api.LinuxResources(cpu={"quota": {"value": 0}}), fields.CPU_QUOTA) == 0
    assert value_at(api.LinuxResources(cpu={"cpus": ""}), fields.CPU_QUOTA) is None
    assert value_at(api.LinuxResources(cpu={}), fields.CPU_CPUS) is None


@pytest.mark.parametrize(
    ("place", "lacks"),
    [
        ("memory.zswap.value", "zswap"),
        ("memory.limit.bytes", "bytes"),
        ("memory.limit.value.bytes", "bytes"),
        ("zswap", "zswap"),
    ],
)
def test_a_place_that_the_message_does_not_have_is_named(place: str, lacks: str) -> None:
    with pytest.raises(FieldTableError, match=rf"^field swap: place='{place}' is not in .*: it has no '{lacks}'$"):
        place_of(row(place), api.LinuxResources)


def test_a_baseline_that_no_request_is_read_into_is_named() -> None:
    with pytest.raises(FieldTableError, match=r"^field swap: place='memory.swap.value' is not in koordnri.views"):
        check_read(row("memory.swap.value", "memory_limit"))
    with pytest.raises(FieldTableError, match=r"^field swap: .*resources_from does not read place='cpu.quota.value'"):
        check_read(row("cpu.quota.value", "memory_limit"))
