from __future__ import annotations

import json

import pytest

from koordnri.kube import ApiRefused, Garbled
from koordnri.kube.configmap import ConfigMap
from koordnri.kube.decoding import MAX_LINE_BYTES, Decoding, Lines, Page, WatchEvent
from koordnri.kube.resource import itself
from tests.kube.fake_api import Json, bookmark, configmap, line, status_object

DECODING = Decoding("ConfigMap", ConfigMap, itself)


def page(*pieces: bytes) -> Page[ConfigMap]:
    found: Page[ConfigMap] = DECODING.page("x")
    for piece in pieces:
        found.feed(piece)
    found.end()
    return found


TEXT = b'{"a": 1}\n\n{"b": 2}\n'


@pytest.mark.parametrize("size", [1, 3, 9, 10, 1000])
def test_lines_are_the_same_however_they_arrive(size: int) -> None:
    lines = Lines("x")
    pieces = [TEXT[i : i + size] for i in range(0, len(TEXT), size)]
    assert [found for piece in pieces for found in lines.feed(piece)] == [b'{"a": 1}', b'{"b": 2}']
    lines.end()


def test_half_a_line_at_the_end_is_reported() -> None:
    lines = Lines("GET /x")
    assert list(lines.feed(b'{}\n{"type": "AD')) == [b"{}"]
    with pytest.raises(Garbled, match=r"^GET /x: expected whole lines of JSON, the answer ends in '\{\"type\": \"AD'$"):
        lines.end()


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    lines = Lines("x")
    lines.feed(b"x" * MAX_LINE_BYTES)
    with pytest.raises(Garbled, match="got a longer one"):
        lines.feed(b"x")


@pytest.mark.parametrize(("type_", "reported"), [("ADDED", "changed"), ("MODIFIED", "changed"), ("DELETED", "deleted")])
def test_changes(type_: str, reported: str) -> None:
    change = DECODING.line("x", line(type_, configmap("7", {"k": "v"})))
    assert (change.type, change.version) == (reported, "7")
    assert change.item is not None
    assert change.item.data == {"k": "v"}


def test_a_bookmark_needs_no_more_than_a_version() -> None:
    assert DECODING.line("x", bookmark("ConfigMap", "8")) == WatchEvent("bookmark", "8")


def test_an_error_line_is_the_servers_refusal() -> None:
    with pytest.raises(ApiRefused) as caught:
        DECODING.line("GET /x", line("ERROR", status_object(410, "too old")))
    assert (caught.value.status, str(caught.value)) == (410, "GET /x: the API server answered 410: too old")


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        (b"<html>", "expected a watch event of a ConfigMap, got '<html>': "),
        (line("ADDED", configmap("7", {}, kind="Pod")), "expected a ConfigMap with a resourceVersion, got a 'Pod'"),
        (line("ADDED", {"kind": "ConfigMap", "metadata": {}}), "Object missing required field `name`"),
        (line("WHAT", configmap("7", {})), "expected one of ADDED, MODIFIED, DELETED, BOOKMARK, ERROR, got 'WHAT'"),
        (line("ERROR", configmap("7", {})), "expected a Status in an ERROR event, got a 'ConfigMap'"),
    ],
)
def test_what_is_wrong_with_a_line_is_reported(text: bytes, reported: str) -> None:
    with pytest.raises(Garbled) as caught:
        DECODING.line("x", text)
    assert reported in str(caught.value)


@pytest.mark.parametrize("items", [None, []])
def test_an_empty_list(items: list[Json] | None) -> None:
    body = {"kind": "ConfigMapList", "metadata": {"resourceVersion": "3"}, "items": items}
    found = page(json.dumps(body).encode())
    assert (found.version, found.rest, found.objects, found.problems) == ("3", "", [], [])


def test_a_page_reports_what_to_ask_for_the_next_with() -> None:
    body = {"kind": "ConfigMapList", "metadata": {"resourceVersion": "3", "continue": "next"}, "items": []}
    assert page(json.dumps(body).encode()).rest == "next"


@pytest.mark.parametrize("items", [[7, configmap("2", {})], [None, None], ["x", configmap("2", {})]])
def test_what_is_no_object_among_the_objects_makes_it_no_list(items: list[object]) -> None:
    body = {"items": items, "kind": "ConfigMapList", "metadata": {"resourceVersion": "3"}}
    with pytest.raises(Garbled, match="expected a ConfigMapList, got"):
        page(json.dumps(body).encode())


def test_long_nonsense_is_quoted_briefly() -> None:
    with pytest.raises(Garbled) as caught:
        page(b"\x00\xff" * (1 << 19))
    assert len(str(caught.value)) < 500
