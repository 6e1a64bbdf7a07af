"""A list is taken apart alike however it arrives, and never held whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.kube import Garbled
from koordnri.kube.items import MAX_FRAME_BYTES, MAX_OBJECT_BYTES, Items

TRICKY = {"metadata": {"name": 'a"b\\', "x": "}]{[", "items": [1, {"items": []}]}, "empty": {}, "text": "\\\\"}
LIST: dict[str, Any] = {"kind": "PodList", "metadata": {"resourceVersion": "3"}, "items": [TRICKY, {}, {"a": [[]]}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("items"), inner, max_size=3),
    max_leaves=10,
)


def apart(body: bytes, size: int) -> tuple[list[bytes], bytes]:
    items = Items("x")
    found = [raw for at in range(0, len(body), size) for raw in items.feed(body[at : at + size])]
    return found, items.end()


@pytest.mark.parametrize("spaces", [40, 55, 56, 57, 90, 200])
def test_the_name_of_the_objects_array_may_be_cut_from_it_anywhere(spaces: int) -> None:
    """Found by fuzzing: of a name further away, more was seen when the list came in pieces."""
    body = b'{"kind": "PodList", "items":' + b" " * spaces + b'[{"a": 1}]}'
    assert {str(apart(body, size)) for size in range(1, len(body) + 1)} == {str(apart(body, 1000))}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "keys", [["kind", "metadata", "items"], ["items", "kind", "metadata"]], ids=["typed", "custom"]
)
def test_the_objects_and_the_list_without_them(keys: list[str], indent: int | None, size: int) -> None:
    body = json.dumps({key: LIST[key] for key in keys}, indent=indent).encode()
    found, frame = apart(body, size)
    assert [json.loads(raw) for raw in found] == LIST["items"]
    assert json.loads(frame) == {**LIST, "items": []}


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4), st.integers(1, 50), st.booleans())
def test_any_objects_in_any_pieces(objects: list[Any], size: int, ascii_only: bool) -> None:
    body = json.dumps({**LIST, "items": objects}, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    found, frame = apart(body, size)
    assert [json.loads(raw.decode(errors="surrogatepass")) for raw in found] == objects
    assert json.loads(frame) == {**LIST, "items": []}


MANY = 2000
LONG = {"escapes": '\\"' * MANY, "strings": ["]"] * MANY, "objects": [{"}": {"{": "["}}] * MANY, "numbers": [1] * MANY}


@pytest.mark.parametrize("size", [100, 1 << 20])
def test_more_than_one_match_of_the_patterns_takes(size: int) -> None:
    body = json.dumps({**LIST, "metadata": LONG, "items": [{"spec": LONG}, LONG]}).encode()
    found, frame = apart(body, size)
    assert [json.loads(raw) for raw in found] == [{"spec": LONG}, LONG]
    assert json.loads(frame) == {**LIST, "metadata": LONG, "items": []}


def test_no_pattern_repeats_a_group_possessively() -> None:
    """Python 3.11.0 to 3.11.4, which Debian 12 has, does that wrongly (CPython's issue 106052)."""
    root = Path(__file__).resolve().parents[2]
    sources = [path for room in ("koordnri", "hooks") for path in (root / room).rglob("*.py")]
    assert len(sources) > 100
    assert [str(path) for path in sources if re.search(r"\)(?:[*+?]|\{[\d,]+\})\+|\(\?>", path.read_text())] == []


@given(st.binary(), st.integers(1, 9))
def test_anything_else_is_left_as_it_is_or_taken_for_objects_alike_in_any_pieces(body: bytes, size: int) -> None:
    assert apart(body, size) == apart(body, len(body) or 1)


@pytest.mark.parametrize("body", [b'{"items": [{"a": 1}', b'{"items": [{"a": 1}, {"b"', b'{"items": [{"a": "x'])
def test_half_a_list_is_no_json_without_its_objects(body: bytes) -> None:
    _, frame = apart(body, 5)
    with pytest.raises(json.JSONDecodeError):
        json.loads(frame)


def test_an_object_that_does_not_end_does_not_fill_the_memory() -> None:
    items = Items("GET /x")
    assert list(items.feed(b'{"items": [{"a": "' + b"x" * (MAX_OBJECT_BYTES - 100))) == []
    with pytest.raises(Garbled, match="GET /x: expected objects of at most"):
        list(items.feed(b"x" * 100))


def test_what_is_no_list_does_not_fill_the_memory() -> None:
    items = Items("GET /x")
    with pytest.raises(Garbled, match="GET /x: expected a list, got 'xxx"):
        list(items.feed(b"x" * (MAX_FRAME_BYTES + 1)))
