"""One change of one field, as a line of the history."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koordnri.model.fields import Device
from koordnri.state.history_line import MOST_CHARACTERS, HistoryLine, cut, encode, mark_of, plain, read

LINE = HistoryLine(7, 1.5, "shop", "web", "cpu.quota", "policy", container="main", old=50_000, new=25_000)


def test_a_line_is_one_line_of_json_and_reads_back() -> None:
    text = encode(LINE)
    assert b"\n" not in text
    assert json.loads(text)["time"] == 1.5
    assert read(text) == LINE


def test_what_is_empty_is_left_out() -> None:
    assert json.loads(encode(LINE)).keys() == {
        "n",
        "time",
        "namespace",
        "pod",
        "field",
        "cause",
        "container",
        "old",
        "new",
    }


@pytest.mark.parametrize("line", [b"", b"{", encode(LINE)[:-5], b'{"n": "x"}', b"\xff", b"[" * 100_000])
def test_what_is_cut_off_or_no_line_is_none(line: bytes) -> None:
    assert read(line) is None


@pytest.mark.parametrize("name", ["web", 'we"b', "wéb", "x" * 1000])
def test_every_line_about_a_pod_has_its_mark(name: str) -> None:
    assert mark_of(name) in encode(HistoryLine(1, 0.0, "shop", cut(name), "cpu.quota", "policy"))
    assert mark_of(name) not in encode(LINE) or name == "web"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (5, 5),
        ("2-3", "2-3"),
        (Device("c", 195, 0, None), {"type": "c", "major": 195, "minor": 0, "fileMode": None}),
        ("x" * 1000, "x" * MOST_CHARACTERS + "…"),
    ],
)
def test_a_value_has_a_bounded_length(value: Any, expected: Any) -> None:
    assert plain(value) == expected
