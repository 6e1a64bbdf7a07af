"""Processes of a fake /proc, and of this machine."""

import os
from pathlib import Path

import pytest

from koordnri.host.files import HostFiles
from koordnri.host.processes import Process, read_processes
from tests.host.trees import HostTree


def test_programs_and_kernel_threads_are_distinguished(tmp_path: Path) -> None:
    tree = (
        HostTree(tmp_path).write("proc/70/cmdline", "/usr/bin/kubelet\0--config=/a\0").write("proc/8/cmdline", "crio\0")
    )
    tree.write("proc/2/cmdline", "").write("proc/sys/kernel/x", "1").write("proc/٣/cmdline", "x\0")
    (tmp_path / "proc/9").mkdir()
    files = HostFiles(tmp_path)
    assert read_processes(files) == [Process(8, ("crio",)), Process(70, ("/usr/bin/kubelet", "--config=/a"))]
    assert [p.program for p in read_processes(files)] == ["crio", "kubelet"]
    assert files.problems == []


@pytest.mark.parametrize(
    ("args", "value"),
    [
        (("containerd", "--config", "/a"), "/a"),
        (("containerd", "-config=/a"), "/a"),
        (("containerd", "--config=/a", "--config=/b"), "/b"),
        (("containerd", "--config"), ""),
        (("containerd", "--configs=/a"), ""),
    ],
)
def test_an_option_is_found_in_every_spelling(args: tuple[str, ...], value: str) -> None:
    assert Process(1, args).option("config") == value


def test_this_process_is_among_those_of_the_machine() -> None:
    assert os.getpid() in {process.pid for process in read_processes(HostFiles(Path("/")))}


def test_without_proc_there_are_none(tmp_path: Path) -> None:
    assert read_processes(HostFiles(tmp_path)) == []
