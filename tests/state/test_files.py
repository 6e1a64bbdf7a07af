"""The state directory: what was saved comes back, and nothing that is found there keeps the daemon from starting."""

from __future__ import annotations

import os
import socket

import pytest
from structlog.testing import CapturingLogger

from koordnri.model import Resources
from koordnri.model.resources import NOTHING, Note
from koordnri.state.files import ORIGINALS, Notebook, StateFile

MOVED = {
    "c1": Note(
        Resources(512, -1, 100_000, "0-3", "0", 1 << 40, {"memory.min": "5"}),
        {"cpu.quota": 40_000, "cpu.cpus": "2-3", "io.max[/dev/sda]": "rbps=5"},
    ),
    "c2": Note(NOTHING),
    "contäiner ☃": Note(Resources(cpu_quota=50_000)),
}


@pytest.fixture
def file(tmp_path):
    return StateFile(tmp_path)


@pytest.mark.parametrize("baselines", [MOVED, {}])
def test_what_was_saved_comes_back(file, baselines):
    file.save({"stale": Note(NOTHING)})
    file.save(baselines)
    assert file.load() == (baselines, "")


def test_a_first_start_has_nothing_and_no_problem(file):
    assert file.load() == ({}, "")


OLD, NEW = {"c1": Note(NOTHING)}, MOVED


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (("baselines.json",), "baselines.json"),
        (("notes.json", "baselines.json"), "baselines.json"),  # an older koordnri has run in between
        (("baselines.json", "notes.json"), "notes.json"),
    ],
)
def test_of_a_file_under_its_former_name_and_one_under_its_name_the_newer_one_counts(tmp_path, written, expected):
    file = StateFile(tmp_path)
    for seconds, name in enumerate(written, 1):
        file.save(NEW if name == expected else OLD)
        file.path.rename(tmp_path / f"{name}.kept")
        os.utime(tmp_path / f"{name}.kept", (seconds, seconds))
    for name in written:
        (tmp_path / f"{name}.kept").rename(tmp_path / name)
    assert file.load() == (NEW, "")
    assert file.load() == (NEW, ""), "it is renamed once"
    assert (tmp_path / "notes.json").exists()


def test_a_file_that_cannot_be_renamed_is_read_under_its_former_name(tmp_path):
    StateFile(tmp_path).save(NEW)
    (tmp_path / "notes.json").rename(tmp_path / "baselines.json")
    (tmp_path / "notes.json").mkdir()
    os.utime(tmp_path / "notes.json", (0, 0))
    assert StateFile(tmp_path).load() == (NEW, "")


def test_both_files_of_the_notebook_are_found_under_their_former_names(tmp_path):
    originals = {"p1": {"cpu.quota": 50_000}}
    StateFile(tmp_path).save(MOVED)
    (tmp_path / "notes.json").rename(tmp_path / "baselines.json")
    StateFile(tmp_path, ORIGINALS, dict[str, dict[str, int]]).save(originals)
    (tmp_path / "originals.json").rename(tmp_path / "written.json")
    assert Notebook(tmp_path, CapturingLogger(), lambda: None).load() == (MOVED, originals)
    assert sorted(os.listdir(tmp_path)) == ["notes.json", "originals.json"]


def test_a_crash_while_saving_leaves_the_old_state(file, tmp_path):
    file.save(MOVED)
    (tmp_path / "notes.json.new").write_bytes(b'{"c1": {"quo')
    assert file.load() == (MOVED, "")
    file.save({"c9": Note(NOTHING)})
    assert file.load() == ({"c9": Note(NOTHING)}, "")
    assert os.listdir(tmp_path) == ["notes.json"]


def test_a_reader_never_sees_half_a_state(file):
    """The name points to the old file or to the new one: an open old one is not written into."""
    file.save({"c1": Note(NOTHING)})
    with file.path.open("rb") as before:
        file.save(MOVED)
        assert before.read() == b'{"c1":{"asked":{}}}'


def test_a_failing_save_leaves_the_old_state_and_says_so(file, tmp_path):
    file.save(MOVED)
    (tmp_path / "notes.json.new").mkdir()
    with pytest.raises(OSError, match=r"notes\.json\.new"):
        file.save({})
    assert file.load() == (MOVED, "")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"c1": 5}',
        b'{"c1": {"quota": 5}}',
        b'{"c1": {"asked": {"quota": "much"}}}',
        b'{"c1": {"asked": {}, "set": {"cpu.quota": 1.5}}}',
        b"\xff\xfe",
        b'{"c1": {"asked": {"cpus": "\xff"}}}',
        b'{"c1": {"x": ' + b"[" * 100_000,
        b"\0" * 4096,
    ],
    ids=["empty", "cut", "list", "number", "no-note", "text", "fraction", "binary", "not-utf8", "deep", "zeros"],
)
def test_a_bad_file_is_kept_aside_and_reported(file, tmp_path, content):
    file.path.write_bytes(content)
    baselines, problem = file.load()
    assert baselines == {}
    assert str(file.path) in problem
    assert "notes.json.bad" in problem
    assert (tmp_path / "notes.json.bad").read_bytes() == content
    assert file.load() == ({}, ""), "reported once"


@pytest.mark.parametrize("there", ["a fifo", "a directory", "a socket", "nothing of ours"])
def test_whatever_is_in_the_place_of_a_state_file_nobody_waits_for_it(file, there):
    if there == "a fifo":
        os.mkfifo(file.path)
    elif there == "a directory":
        file.path.mkdir()
    elif there == "a socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(file.path))
    else:
        file.path.write_bytes(b"[" * 5000)
    content, problem = file.load()
    assert content == {}
    assert problem.startswith(f"{file.path}: ")


def test_a_fifo_in_the_place_of_the_new_file_is_an_error(file, tmp_path):
    os.mkfifo(tmp_path / "notes.json.new")
    with pytest.raises(OSError, match=r"notes\.json\.new"):
        file.save(MOVED)


def test_a_directory_that_is_made_later_is_used_then(tmp_path):
    (tmp_path / "there").write_text("a file")
    log = CapturingLogger()
    notes = Notebook(tmp_path / "there/state", log, lambda: None)
    notes.keep(lambda: (MOVED, {}))
    assert notes.load() == ({}, {})
    notes.probe()
    notes.save_if_marked()
    notes.save_if_marked()
    assert "Not a directory" in notes.problem
    assert [call.args[0] for call in log.calls] == ["state_file_bad", "state_file_bad", "state_not_saved"]
    (tmp_path / "there").unlink()
    notes.save_if_marked()
    assert notes.problem == ""
    assert StateFile(tmp_path / "there/state").load() == (MOVED, "")


def test_changes_that_follow_each_other_are_saved_together(tmp_path):
    now, woken, saves = [100.0], [], []
    notes = Notebook(tmp_path, CapturingLogger(), lambda: woken.append(now[0]), lambda: now[0])

    def read():
        saves.append(now[0])
        now[0] += 0.02  # so long does a save take
        return {}, {}

    notes.keep(read)
    assert notes.due_in_s == float("inf")
    notes.mark()
    notes.save_if_due()
    assert (saves, woken, notes.due_in_s) == ([100.0], [100.0], float("inf")), "the first change is saved at once"
    notes.mark()
    notes.mark()
    notes.save_if_due()
    assert (len(saves), len(woken)) == (1, 2), "the next ones wait, and wake somebody once"
    assert notes.due_in_s == pytest.approx(9 * 0.02)
    now[0] += notes.due_in_s
    notes.save_if_due()
    assert (len(saves), notes.due_in_s) == (2, float("inf"))


def test_a_save_that_takes_long_is_followed_by_a_second_of_rest(tmp_path):
    now = [100.0]
    notes = Notebook(tmp_path, CapturingLogger(), lambda: None, lambda: now[0])

    def read():
        now[0] += 5.0
        return {}, {}

    notes.keep(read)
    notes.save()
    notes.mark()
    assert notes.due_in_s == 1.0


def test_a_failed_save_is_tried_again_after_a_second(tmp_path):
    (tmp_path / "state").write_text("a file")
    now = [100.0]
    notes = Notebook(tmp_path / "state", CapturingLogger(), lambda: None, lambda: now[0])
    notes.mark()
    notes.save_if_due()
    assert (bool(notes.problem), notes.due_in_s) == (True, 1.0)
    (tmp_path / "state").unlink()
    now[0] += 1.0
    notes.save_if_due()
    assert (notes.problem, notes.due_in_s) == ("", float("inf"))


def test_a_probe_leaves_nothing(tmp_path):
    notes = Notebook(tmp_path, CapturingLogger(), lambda: None)
    notes.probe()
    assert (notes.problem, os.listdir(tmp_path)) == ("", [])


def test_notes_are_written_again_when_they_changed_or_their_file_is_gone(tmp_path):
    notes, file = Notebook(tmp_path, CapturingLogger(), lambda: None), tmp_path / "notes.json"
    there = {"c2": Note(NOTHING)}
    notes.keep(lambda: (dict(there), {"pod": {"cpu.quota": 5}}))

    def saved():
        before = file.stat().st_ino if file.exists() else None
        (tmp_path / ORIGINALS).unlink(missing_ok=True)
        notes.save()
        assert (tmp_path / ORIGINALS).exists()  # originals are saved each time
        assert StateFile(tmp_path).load() == (there, "")
        return file.stat().st_ino != before

    assert saved()
    assert not saved()
    there["c1"] = MOVED["c1"]
    assert saved()
    assert not saved()
    file.unlink()
    assert saved()
