"""Terway's files."""

from __future__ import annotations

from pathlib import Path

from koordnri.host.terway import DIRECTORY, TerwayFiles


def test_a_file_is_made_replaced_whole_and_removed(tmp_path: Path) -> None:
    files, directory = TerwayFiles(tmp_path), tmp_path / DIRECTORY
    assert files.read("pod.json") is None
    files.remove("pod.json")
    files.write("pod.json", "old")
    before = (directory / "pod.json").stat().st_ino
    files.write("pod.json", "new")
    assert files.read("pod.json") == "new"
    assert (directory / "pod.json").stat().st_ino != before, "written in place, a reader sees half of it"
    files.remove("pod.json")
    assert list(directory.iterdir()) == []
