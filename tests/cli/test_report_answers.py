"""The answers in a report: of a good one, a broken one, and of files that somebody made to do harm."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.bundle import MOST_BYTES, Bundle
from koordnri.cli.report import part_of_pod
from koordnri.cli.report_answers import NoReport, ReportFile
from koordnri.observe.questions import BadQuestion, NotHere


def written(path: Path, **parts: Any) -> Path:
    """A report as `koordnri report` writes it; `_` in names of parts is a slash."""
    bundle = Bundle("koordnri-report-n", {"made": "20261129T114500Z"})
    for name, value in parts.items():
        bundle.add_json(f"{name.replace('_', '/')}.json", value)
    bundle.add_json(part_of_pod("explain", "shop/web-0"), {"pod": {"name": "web-0"}})
    bundle.missing["v1/map.json"] = "timed out"
    with path.open("wb") as file:
        bundle.write(file)
    return path


def packed(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_answers_are_those_of_the_report(tmp_path: Path) -> None:
    questions = ReportFile(
        written(tmp_path / "r.tar.gz", v1_status={"node": "n"}, v1_containers={"pods": []})
    ).questions()
    assert questions["status"]({}) == {"node": "n", "report": "2026-11-29T11:45:00Z"}
    assert questions["containers"]({}) == {"pods": []}
    assert questions["explain"]({"pod": "shop/web-0"}) == {"pod": {"name": "web-0"}}


def test_what_is_missing_is_reported_with_the_reason(tmp_path: Path) -> None:
    questions = ReportFile(written(tmp_path / "r.tar.gz", v1_status={})).questions()
    with pytest.raises(NotHere, match=r"v1/map\.json is not in this report: timed out"):
        questions["map"]({})
    with pytest.raises(NotHere, match=r"v1/why/shop_web-0\.json is not in this report$"):
        questions["why"]({"pod": "shop/web-0"})
    with pytest.raises(BadQuestion, match='expected the parameter "pod"'):
        questions["why"]({})


@pytest.mark.parametrize("pod", ["../../etc/passwd", "/etc/passwd", "a/../../v1/status", ""])
def test_a_pods_name_is_no_path(tmp_path: Path, pod: str) -> None:
    questions = ReportFile(written(tmp_path / "r.tar.gz", v1_status={})).questions()
    with pytest.raises(NotHere):
        questions["explain"]({"pod": pod})


@pytest.mark.parametrize("content", [b"{", b"[1]", b'"text"', b"[" * 100_000, b"\xff"])
def test_a_broken_part_is_reported(tmp_path: Path, content: bytes) -> None:
    path = packed(tmp_path / "r.tar.gz", ("r/report.json", b"{}"), ("r/v1/map.json", content))
    with pytest.raises(NotHere, match=r"v1/map\.json of this report is"):
        ReportFile(path).questions()["map"]({})


@pytest.mark.parametrize("content", [b"", b"text", b"\x1f\x8b\x08\x00broken", b"\0" * 10240])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.tar.gz"
    path.write_bytes(content)
    with pytest.raises(NoReport, match=r"r\.tar\.gz: "):
        ReportFile(path)


def test_a_tar_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoReport, match=r"expected a file that `koordnri report` wrote, with report\.json in it"):
        ReportFile(packed(tmp_path / "r.tar.gz", ("r/other.txt", b"x")))


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    zeros = bytes(MOST_BYTES // 2 + 1)
    path = packed(tmp_path / "r.tar.gz", *((f"r/{index}", zeros) for index in range(3)))
    with pytest.raises(NoReport, match="more in it than"):
        ReportFile(path)


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "r.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, kind in (
            ("report.json", tarfile.REGTYPE),
            ("v1/map.json", tarfile.SYMTYPE),
            ("v1/status.json", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(f"r/{name}")
            info.type, info.linkname, info.size = kind, "/etc/passwd", 2 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"{}"))
    with pytest.raises(NotHere):
        ReportFile(path).questions()["map"]({})
