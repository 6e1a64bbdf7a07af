"""The watch of a file on the real kernel: what it reports at once, and what it leaves to who looks from time to time."""

from __future__ import annotations

import os
import queue
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.host.file_watch import FileWatch
from tests.support.waiting import PATIENCE_S


class Watched:
    """A watch, and what it reported."""

    def __init__(self, path: Path) -> None:
        self.reported: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """whether the directory was still watched"""
        self.bugs: queue.SimpleQueue[Exception] = queue.SimpleQueue()
        self.watch = FileWatch(path, self._changed, self.bugs.put)

    def _changed(self) -> None:
        self.reported.put(self.watch.watching)

    def wait(self) -> bool:
        return self.reported.get(timeout=PATIENCE_S)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir()
    return directory


@pytest.fixture
def file(directory: Path) -> Path:
    file = directory / "policy.yaml"
    file.write_text("one")
    return file


@pytest.fixture
def watched(file: Path) -> Iterator[Watched]:
    watched = Watched(file)
    yield watched
    watched.watch.close()
    assert watched.bugs.empty()


def test_a_file_that_is_written_to_its_end_is_reported(watched, file):
    with file.open("w") as opened:
        opened.write("two")
        opened.flush()
        assert watched.reported.empty(), "half of it may be missing"
    watched.wait()


def test_a_file_that_is_replaced_is_reported(watched, file, directory):
    (directory / "new").write_text("two")
    os.replace(directory / "new", file)
    watched.wait()


def test_other_files_of_the_directory_are_nobodys_business(watched, file, directory):
    (directory / "other").write_text("two")
    (directory / "policy.yaml~").write_text("two")
    shutil.rmtree(directory)
    assert not watched.wait(), "the end of the directory is reported, and nothing before it"


def test_the_swap_of_a_mounted_configmap_is_reported_to_who_watches_a_key_and_to_who_watches_all(tmp_path: Path):
    mount = tmp_path / "mount"
    for version in ("..1", "..2"):
        (mount / version).mkdir(parents=True)
        (mount / version / "policy.yaml").write_text(version)
    os.symlink("..1", mount / "..data")
    os.symlink("..data/policy.yaml", mount / "policy.yaml")
    key, everything = Watched(mount / "policy.yaml"), Watched(mount)
    try:
        os.symlink("..2", mount / "..data_tmp")
        os.replace(mount / "..data_tmp", mount / "..data")
        key.wait()
        everything.wait()
    finally:
        key.watch.close()
        everything.watch.close()


def test_a_directory_that_is_replaced_is_watched_again(watched, file, directory, tmp_path):
    os.rename(directory, tmp_path / "old")
    os.unlink(tmp_path / "old/policy.yaml")
    os.rmdir(tmp_path / "old")
    assert not watched.wait()
    watched.watch.renew()
    assert not watched.watch.watching, "there is none"
    directory.mkdir()
    watched.watch.renew()
    assert watched.watch.watching
    file.write_text("two")
    watched.wait()


def test_where_there_is_no_directory_yet_nothing_is_reported_until_it_is_there(tmp_path):
    watched = Watched(tmp_path / "later/policy.yaml")
    try:
        assert not watched.watch.watching
        (tmp_path / "later").mkdir()
        watched.watch.renew()
        (tmp_path / "later/policy.yaml").write_text("one")
        assert watched.wait()
    finally:
        watched.watch.close()


def test_after_its_close_nothing_is_reported_and_nothing_is_left_open(file):
    before = set(os.listdir("/proc/self/fd"))
    watched = Watched(file)
    watched.watch.close()
    assert set(os.listdir("/proc/self/fd")) == before
    file.write_text("two")
    assert watched.reported.empty()


def test_a_bug_in_its_thread_is_handed_on_and_it_says_that_it_watches_no_more(file):
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    bugs: queue.SimpleQueue[Exception] = queue.SimpleQueue()
    watch = FileWatch(file, broken, bugs.put)
    try:
        assert watch.watching
        file.write_text("two")
        assert isinstance(bugs.get(timeout=PATIENCE_S), ZeroDivisionError)
        watch._thread.join(PATIENCE_S)
        assert not watch.watching
        watch.renew()
        assert not watch.watching, "nobody reads what the kernel reports"
    finally:
        watch.close()
