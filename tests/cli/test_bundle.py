"""A report's file: bounded, private, never half written."""

import io
import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli import bundle
from koordnri.cli.bundle import Bundle, private_file


def contents(made: Bundle) -> dict[str, bytes]:
    file = io.BytesIO()
    made.write(file)
    file.seek(0)
    with tarfile.open(fileobj=file) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def manifest(made: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(contents(made)["top/report.json"])
    return found


def test_each_part_is_in_the_top_directory_and_in_the_manifest() -> None:
    made = Bundle("top", {"made": "now"})
    made.add("a.txt", "ü")
    made.add_json("v1/b.json", {"x": 1})
    made.missing["c"] = "why"
    assert contents(made).keys() == {"top/a.txt", "top/v1/b.json", "top/report.json"}
    assert manifest(made) == {
        "made": "now",
        "parts": {"a.txt": 2, "v1/b.json": 13},
        "missing": {"c": "why"},
        "cut": {},
    }


def test_of_a_long_part_the_end_is_kept() -> None:
    made = Bundle("top", {})
    made.add("log", "a" * bundle.MOST_PART_BYTES + "end")
    log = contents(made)["top/log"]
    assert len(log) == bundle.MOST_PART_BYTES
    assert log.endswith(b"end")
    assert manifest(made)["cut"].keys() == {"log"}


def test_all_parts_together_are_bounded() -> None:
    made = Bundle("top", {})
    for place in range(bundle.MOST_BYTES // bundle.MOST_PART_BYTES + 3):
        made.add(f"p{place}", "a" * bundle.MOST_PART_BYTES)
    made.add("small", "a")
    assert len(made.missing) == 4
    assert sum(manifest(made)["parts"].values()) == bundle.MOST_BYTES


def test_the_file_is_private_and_new(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with private_file(path) as file:
        file.write(b"x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError), private_file(path):
        pass
    assert path.read_bytes() == b"x"


def test_a_file_that_could_not_be_finished_is_removed(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), private_file(tmp_path / "r"):
        raise OSError("full")
    assert list(tmp_path.iterdir()) == []
