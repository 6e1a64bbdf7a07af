"""Nobody but root reads the state directory, and no other directory is closed by mistake."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.state.directory import make_private
from koordnri.state.files import StateFile

NAMES = ("notes.json", "originals.json.new", "policy.json", "history.jsonl.1", "koordnri.lock", "koordnri.log")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """As kubelet and a container have it; nothing may depend on a strict one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_directory_that_kubelet_made_is_closed_with_what_is_in_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(0o755)
    for name in NAMES:
        (state / name).write_text(name)
    assert make_private(state) == ""
    assert {mode(state / name) for name in NAMES} == {0o600}
    assert mode(state) == 0o700
    assert (state / "notes.json").read_text() == "notes.json"


def test_a_directory_that_is_not_there_is_made_closed(tmp_path: Path) -> None:
    assert make_private(tmp_path / "a" / "state") == ""
    assert mode(tmp_path / "a" / "state") == 0o700


def test_a_directory_of_others_stays_as_it_is_but_not_our_files(tmp_path: Path) -> None:
    state = tmp_path / "lib"
    state.mkdir(0o755)
    for name in ("notes.json", "dpkg"):
        (state / name).write_text(name)
    assert make_private(state) == f'{state}: its mode stays 0755, because it has files of others, such as "dpkg"'
    assert {path.name: mode(path) for path in (state, *state.iterdir())} == {
        "lib": 0o755,
        "notes.json": 0o600,
        "dpkg": 0o644,
    }
    state.chmod(0o700)
    assert make_private(state) == ""


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    state, elsewhere = tmp_path / "state", tmp_path / "passwd"
    state.mkdir()
    elsewhere.write_text("x")
    (state / "notes.json").symlink_to(elsewhere)
    make_private(state)
    assert mode(elsewhere) == 0o644


def test_what_is_written_later_is_closed_too(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.save({})
    assert mode(file.path) == 0o600
    (tmp_path / "notes.json.new").write_text("left by a crash")
    file.save({})
    assert mode(file.path) == 0o600


def test_a_file_that_another_daemon_renames_meanwhile_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.json.new").write_text("{}")
    (tmp_path / "notes.json.new").chmod(0o644)
    change = os.chmod

    def renamed(path: str, mode: int) -> None:
        os.unlink(path)
        change(path, mode)

    monkeypatch.setattr(os, "chmod", renamed)
    assert make_private(tmp_path) == ""
    assert not list(tmp_path.iterdir())
