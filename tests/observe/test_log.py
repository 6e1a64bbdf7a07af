"""Log lines: their shape, their levels, and that nobody ever waits for them."""

import json
import os
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from koordnri.observe.log import FORMATS, LEVELS, MAX_QUEUED, MAX_QUEUED_CHARACTERS, LineWriter, make_logger


def full_pipe() -> tuple[int, int]:
    """A pipe into which nothing more goes: the next write blocks."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for size in (65536, 1):  # to the last byte
        try:
            while True:
                os.write(writer, b"x" * size)
        except BlockingIOError:
            pass
    os.set_blocking(writer, True)
    return reader, writer


def lines_of(form: str, level: str, **calls: dict[str, Any]) -> list[str]:
    """What `log.<level>(event, **keys)` writes for each call."""
    reader, writer = os.pipe()
    lines = LineWriter(writer)
    log = make_logger(lines, form, level)
    for name, keys in calls.items():
        getattr(log, name)("something_happened", **keys)
    lines.close()
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        return pipe.read().splitlines()


def test_a_reader_that_is_stuck_never_blocks_the_writer_and_lost_lines_are_counted() -> None:
    reader, writer = full_pipe()
    lines = LineWriter(writer)
    total = MAX_QUEUED + 500
    for i in range(total):
        lines.write(f"line {i}")  # would hang here for ever
    # The writing thread holds one line more, if it has taken one yet.
    assert lines.lost in (499, 500)
    lost = lines.lost
    lines.close(timeout_s=0)  # nor does closing wait
    with open(reader, encoding="ascii") as pipe:
        filler = pipe.read(1)
        assert filler == "x"
        arrived = [pipe.readline().lstrip("x").rstrip("\n") for _ in range(total - lost)]
    # The place that the writing thread freed by taking a line goes to whichever line came next then.
    later = [f"line {i}" for i in range(MAX_QUEUED, total)]
    assert arrived[:MAX_QUEUED] == [f"line {i}" for i in range(MAX_QUEUED)]
    assert len(arrived) <= MAX_QUEUED + 1
    assert set(arrived[MAX_QUEUED:]) <= set(later)
    os.close(writer)


def test_long_lines_for_a_stuck_reader_do_not_grow_the_daemon() -> None:
    """Pods' owners write parts of lines, and one character outside of Latin-1 takes four bytes for each."""
    reader, writer = full_pipe()
    lines, length = LineWriter(writer), 5000
    for i in range(MAX_QUEUED):
        lines.write(f"{i:05}".ljust(length, chr(0x1F600)))
    accepted = MAX_QUEUED - lines.lost
    # Several threads count, and may miss some.
    assert MAX_QUEUED_CHARACTERS // length <= accepted <= 2 * MAX_QUEUED_CHARACTERS // length
    lines.close(timeout_s=0)
    os.close(reader)


def test_a_logger_over_a_stuck_reader_does_not_block_either() -> None:
    reader, writer = full_pipe()
    lines = LineWriter(writer)
    log = make_logger(lines)
    for _ in range(MAX_QUEUED + 10):
        log.info("something_happened", pod="shop/web")
    assert lines.lost >= 9
    os.close(reader)  # the stuck write fails, and so do all after it
    lines.close(timeout_s=10)
    os.close(writer)


def test_a_closed_reader_is_counted_as_lost_lines() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    lines = LineWriter(writer)
    for _ in range(3):
        lines.write("nobody hears this")
    lines.close(timeout_s=10)
    assert lines.lost == 3
    os.close(writer)


def test_what_is_queued_is_written_at_the_end_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    lines = LineWriter(fd)
    for i in range(2000):
        lines.write(f"{i} µ \udc80")
    lines.close(timeout_s=10)
    os.close(fd)
    assert path.read_text() == "".join(f"{i} µ ?\n" for i in range(2000))
    assert lines.lost == 0


def test_a_json_line_has_time_level_and_event_first_then_the_keys() -> None:
    [line] = lines_of("json", "info", warning={"pod": "shop/web", "count": 3, "reason": "a\nb"})
    entry = json.loads(line)
    assert list(entry) == ["timestamp", "level", "event", "pod", "count", "reason"]
    assert list(entry.values())[1:] == ["warning", "something_happened", "shop/web", 3, "a\nb"]
    reported = datetime.fromisoformat(entry["timestamp"])
    assert reported.tzinfo == UTC
    assert abs(datetime.now(UTC) - reported) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(Path("/a"), "/a", id="path"),
        pytest.param(Fraction(1, 3), "1/3", id="fraction"),
        pytest.param({"a": [1, None, True]}, {"a": [1, None, True]}, id="nested"),
        pytest.param(1 << 80, 1 << 80, id="huge"),
        pytest.param(float("nan"), None, id="nan"),
        pytest.param("µ\x00\x1b[31m", "µ\x00\x1b[31m", id="control-characters"),
        pytest.param("a\udc80b", "a\udc80b", id="file-name-that-is-no-utf8"),
    ],
)
def test_any_value_makes_one_json_line(value: object, written: object) -> None:
    [line] = lines_of("json", "info", info={"value": value})
    assert line.isprintable()  # no control characters for a terminal, no line breaks
    assert json.loads(line)["value"] == written


@pytest.mark.parametrize("form", FORMATS)
def test_an_exception_comes_with_its_trace(form: str) -> None:
    try:
        raise ValueError("nothing works")
    except ValueError as error:
        lines = lines_of(form, "info", error={"exc_info": error})
    assert "Traceback (most recent call last):" in "\n".join(lines)
    assert "ValueError: nothing works" in "\n".join(lines)
    assert len(lines) == 1 or form == "console"


def test_a_console_line_is_for_a_person() -> None:
    [line] = lines_of("console", "info", warning={"pod": "shop/web", "count": 3})
    clock, rest = line[:8], line[8:]
    assert datetime.strptime(clock, "%H:%M:%S")  # a time of day
    assert rest == " warning something_happened pod=shop/web count=3"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("level", LEVELS)
def test_lines_below_the_level_are_left_out(form: str, level: str) -> None:
    each: dict[str, dict[str, Any]] = {name: {} for name in LEVELS}
    lines = lines_of(form, level, **each)
    assert len(lines) == len(LEVELS) - LEVELS.index(level)
    for line, name in zip(lines, LEVELS[LEVELS.index(level) :], strict=True):
        assert name in line


def test_bound_keys_come_with_every_line() -> None:
    reader, writer = os.pipe()
    lines = LineWriter(writer)
    log = make_logger(lines).bind(pod="shop/web", op="create")
    log.info("one")
    log.info("two", op="update")
    lines.close(timeout_s=10)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        entries = [json.loads(line) for line in pipe]
    assert [(e["event"], e["pod"], e["op"]) for e in entries] == [
        ("one", "shop/web", "create"),
        ("two", "shop/web", "update"),
    ]
