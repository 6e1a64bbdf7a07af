"""What plugins changed between two taps."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.cli.tap.changes import MOST_KEPT, Change, Comparison, Differences, _changes
from koordnri.cli.tap.tap import Seen
from koordnri.wire import api_pb2 as api
from tests.support.messages import container, pod


def created(at: str, container_id: str = "c1", **fields: Any) -> Seen:
    request = api.CreateContainerRequest(pod=pod(), container=container(container_id, **fields))
    return Seen(at, "CreateContainer", request)


def test_the_tap_behind_shows_what_the_one_before_did_not_have() -> None:
    comparison = Comparison(["00", "99"])
    assert comparison.see(created("00", annotations={"a": "old", "b": "same"})) is None
    found = comparison.see(created("99", annotations={"a": "new", "b": "same"}))
    change = Change("container.annotations.a", "old", "new")
    assert found == Differences("CreateContainer", "shop/p1", "c1", "00", "99", (change,))


def test_of_three_taps_each_is_compared_with_the_one_before_it() -> None:
    comparison = Comparison(["00", "50", "99"])
    seen = [created(at, args=args) for at, args in (("00", ["sh"]), ("50", ["sh"]), ("99", ["bash"]))]
    first, second, third = (comparison.see(one) for one in seen)
    assert first is None
    assert second is not None
    assert third is not None
    assert (second.above, second.below, second.changes) == ("00", "50", ())
    assert (third.above, third.below, len(third.changes)) == ("50", "99", 2)


def test_events_of_different_containers_and_of_no_pod_are_not_mixed() -> None:
    comparison = Comparison(["00", "99"])
    comparison.see(created("00", "c1"))
    assert comparison.see(created("99", "c2")) is None
    assert comparison.see(Seen("99", "Synchronize", api.SynchronizeRequest())) is None


def test_what_a_later_tap_never_sees_is_forgotten() -> None:
    comparison = Comparison(["00", "99"])
    for number in range(MOST_KEPT + 1):
        comparison.see(created("00", f"c{number}"))
    assert comparison.see(created("99", "c0")) is None
    assert comparison.see(created("99", "c1")) is not None


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {}, [("a", 1, None)]),
        ({}, {"a": {"b": 2}}, [("a.b", None, 2)]),
        ({"a": ["x", "y"]}, {"a": ["y", "z"]}, [("a", "x", None), ("a", None, "z")]),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, [("a", ["x", "y"], ["y", "x"])]),
        ({"a": [{"k": 1}]}, {}, [("a", {"k": 1}, None)]),
        ({"a": {"b": {"c": "1", "d": "2"}}}, {"a": {"b": {"c": "1", "d": "3"}}}, [("a.b.d", "2", "3")]),
    ],
)
def test_each_value_that_came_went_or_changed_has_its_path(old: Any, new: Any, changes: list[tuple[Any, ...]]) -> None:
    assert list(_changes("", old, new)) == [Change(*change) for change in changes]
