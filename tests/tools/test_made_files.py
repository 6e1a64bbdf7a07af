"""Files that a tool makes: written where they differ, and only reported with --check."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.made_files import keep


@pytest.fixture
def files(tmp_path: Path) -> dict[Path, str]:
    (tmp_path / "old").write_text("before")
    (tmp_path / "same").write_text("kept")
    return {tmp_path / "old": "after", tmp_path / "same": "kept", tmp_path / "missing": "new"}


def test_writes_what_differs_or_is_missing(files: dict[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tool"])
    assert keep(files, "a source", "a tool") == 0
    assert {path: path.read_text() for path in files} == files


def test_check_reports_each_file_that_differs_and_writes_none(
    files: dict[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["tool", "--check"])
    assert keep(files, "a source", "a tool") == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 'old'}: differs from a source; run a tool",
        f"{tmp_path / 'missing'}: differs from a source; run a tool",
    ]
    assert (tmp_path / "old").read_text() == "before"
    assert not (tmp_path / "missing").exists()


def test_check_is_silent_when_nothing_differs(
    files: dict[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tool"])
    keep(files, "a source", "a tool")
    monkeypatch.setattr("sys.argv", ["tool", "--check"])
    assert keep(files, "a source", "a tool") == 0
    assert not capsys.readouterr().out
