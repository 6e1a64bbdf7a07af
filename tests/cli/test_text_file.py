"""Files that a user names: bounded, UTF-8, or standard input."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from koordnri.cli.text_file import read_text
from koordnri.policy.errors import DocumentError

MOST_BYTES = 2 << 20


def mistake(path: str | Path) -> str:
    with pytest.raises(DocumentError) as caught:
        read_text(path, MOST_BYTES, stdin=True)
    (only,) = caught.value.mistakes
    return str(only)


def test_reads_text_without_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("\ufeffname: ü".encode())
    assert read_text(path, MOST_BYTES) == "name: ü"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name: \xff", "expected UTF-8 text, byte 6 is 0xff"),
        (b"x" * (MOST_BYTES + 1), "expected at most 2 MiB"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    assert mistake(path) == expected


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert mistake(tmp_path / "a.yaml") == "cannot be read: No such file or directory"


def test_a_file_without_end_is_not_read_to_it() -> None:
    assert mistake("/dev/zero") == "expected at most 2 MiB"


def test_a_hyphen_is_standard_input_only_where_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"name: a")))
    monkeypatch.chdir(tmp_path)
    assert read_text("-", MOST_BYTES, stdin=True) == "name: a"
    with pytest.raises(DocumentError, match="No such file"):
        read_text("-", MOST_BYTES)
