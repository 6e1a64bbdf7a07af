"""Files of the processes of a cgroup, read and written as one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.files import CgroupFiles
from koordnri.host.cgroup.process_files import process_ids
from koordnri.host.cgroup.writer import Writer
from koordnri.model import fields

CONTAINER = "kubepods/pod1/c1"
FIELD = fields.OOM_SCORE_ADJ


def tree(root: Path, version: int, scores: Mapping[int, int | None], below: Mapping[int, int] | None = None) -> Path:
    """A host with these processes in the container's cgroup (None: it has ended), and in a cgroup below it."""
    cgroup = root / "sys/fs/cgroup" / ("cpu" if version == 1 else "") / CONTAINER
    cgroup.mkdir(parents=True)
    (cgroup / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in scores))
    if below:
        (cgroup / "inner").mkdir()
        (cgroup / "inner/cgroup.procs").write_text("".join(f"{pid}\n" for pid in below))
    for pid, score in {**scores, **(below or {})}.items():
        if score is not None:
            (root / f"proc/{pid}").mkdir(parents=True)
            (root / f"proc/{pid}/oom_score_adj").write_text(f"{score}\n")
    return root


def scores_in(root: Path) -> dict[int, int]:
    return {int(one.parent.name): int(one.read_text()) for one in sorted(root.glob("proc/*/oom_score_adj"))}


def set_to(root: Path, version: int, score: int) -> tuple[Status, object]:
    [outcome] = Writer(root, version).apply([[Change(CONTAINER, FIELD, "", score)]])
    return outcome.status, outcome.before


@pytest.mark.parametrize("version", [1, 2])
def test_all_processes_of_a_container_get_the_value_also_below_it(tmp_path: Path, version: int) -> None:
    root = tree(tmp_path, version, {10: 985, 12: 985}, below={20: 985})
    assert set_to(root, version, 900) == (Status.WRITTEN, 985)
    assert scores_in(root) == {10: 900, 12: 900, 20: 900}
    assert set_to(root, version, 900) == (Status.SAME, 900)
    assert Writer(root, version).holds(Change(CONTAINER, FIELD, "", 900))


def test_where_processes_differ_the_value_is_that_of_each_the_oldest_first(tmp_path: Path) -> None:
    root = tree(tmp_path, 2, {12: 0, 10: -900})
    assert Writer(root, 2).read(CONTAINER, FIELD).value == "-900 0"
    assert not Writer(root, 2).holds(Change(CONTAINER, FIELD, "", -900))
    assert set_to(root, 2, -900)[0] is Status.WRITTEN
    assert scores_in(root) == {10: -900, 12: -900}


def test_a_process_that_has_ended_meanwhile_is_left_out(tmp_path: Path) -> None:
    root = tree(tmp_path, 2, {10: 985, 11: None, 0: None})
    assert set_to(root, 2, 900) == (Status.WRITTEN, 985)


@pytest.mark.parametrize("scores", [{}, {10: None}])
def test_a_container_without_processes_counts_as_gone(tmp_path: Path, scores: dict[int, int | None]) -> None:
    assert set_to(tree(tmp_path, 2, scores), 2, 900)[0] is Status.GONE


def test_a_refusal_names_the_rights_that_it_takes_and_costs_no_other_process(tmp_path: Path) -> None:
    class Refusing(CgroupFiles):
        def write(self, path: str, text: str) -> None:
            raise PermissionError(13, "Permission denied")

    [outcome] = Writer(tree(tmp_path, 2, {10: 985}), 2, Refusing()).apply([[Change(CONTAINER, FIELD, "", -5)]])
    assert outcome.status is Status.REFUSED
    assert "SYS_RESOURCE" in outcome.error


def test_nobody_watches_files_that_are_not_there(tmp_path: Path) -> None:
    assert Writer(tmp_path, 2).places(Change(CONTAINER, FIELD, "", 1)) == []


def test_the_kernels_own_files_are_read_and_written(tmp_path: Path) -> None:
    """/proc of this machine; the cgroup is a directory with the list of processes, as the kernel's."""
    cgroup = tmp_path / "sys/fs/cgroup" / CONTAINER
    cgroup.mkdir(parents=True)
    (tmp_path / "proc").symlink_to("/proc")
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        try:
            (cgroup / "cgroup.procs").write_text(f"{sleeper.pid}\n")
            before = int(Path(f"/proc/{sleeper.pid}/oom_score_adj").read_text())
            assert set_to(tmp_path, 2, 1000) == (Status.SAME if before == 1000 else Status.WRITTEN, before)
            assert int(Path(f"/proc/{sleeper.pid}/oom_score_adj").read_text()) == 1000
        finally:
            sleeper.kill()


def test_ids_are_those_of_the_cgroup_and_below_ascending(tmp_path: Path) -> None:
    root = tree(tmp_path, 2, {30: 0, 5: 0}, below={7: 0})
    assert process_ids(os.fspath(root / "sys/fs/cgroup" / CONTAINER)) == [5, 7, 30]
    with pytest.raises(FileNotFoundError):
        process_ids(os.fspath(root / "nowhere"))
