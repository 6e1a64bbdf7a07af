"""Versions from the host's own binaries."""

from pathlib import Path

import pytest

from koordnri.doctor.versions import find_version
from koordnri.host.files import HostFiles
from koordnri.host.processes import Process
from koordnri.wire.versions import Version
from tests.host.trees import HostTree


def program(root: Path, path: str, script: str) -> HostFiles:
    HostTree(root).write(path, f"#!/bin/sh\n{script}\n")
    (root / path).chmod(0o755)
    return HostFiles(root)


@pytest.mark.parametrize(
    ("name", "says", "version"),
    [
        ("containerd", "containerd github.com/containerd/containerd/v2 v2.4.2 abc123", Version(2, 4, 2)),
        ("containerd", "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+b4", Version(1, 7, 24)),
        ("crio", "crio version 1.36.0\nVersion: 1.36.0", Version(1, 36, 0)),
        ("crun", "crun version 1.21\ncommit: 10269840aa07", Version(1, 21, 0)),
        ("runc", "runc version 1.1.15+ds1\ncommit: 1.1", Version(1, 1, 15)),
    ],
)
def test_each_program_prints_its_own_way(tmp_path: Path, name: str, says: str, version: Version) -> None:
    files = program(tmp_path, f"usr/bin/{name}", f"printf '{says}\\n'")
    assert find_version(files, name) == (f"/usr/bin/{name}", version)


def test_the_running_binary_goes_before_those_in_the_usual_places(tmp_path: Path) -> None:
    program(tmp_path, "usr/bin/crio", "echo crio version 1.30.0")
    files = program(tmp_path, "opt/own/crio", "echo crio version 1.35.1")
    (tmp_path / "proc/9").mkdir(parents=True)
    (tmp_path / "proc/9/exe").symlink_to("/opt/own/crio")
    assert find_version(files, "crio", [Process(9, ("/opt/own/crio",))]) == ("/opt/own/crio", Version(1, 35, 1))


@pytest.mark.parametrize("script", ["exit 0", "echo unknown", "exec /no/such/program", "printf '\\377\\376'"])
def test_a_program_that_does_not_say_its_version_is_not_known(tmp_path: Path, script: str) -> None:
    assert find_version(program(tmp_path, "usr/bin/crun", script), "crun") is None


def test_a_program_that_cannot_be_run_is_not_known(tmp_path: Path) -> None:
    files = program(tmp_path, "usr/bin/crun", "")
    (tmp_path / "usr/bin/crun").write_bytes(b"\x7fELFnonsense")
    assert find_version(files, "crun") is None
    (tmp_path / "usr/bin/crun").chmod(0o644)
    assert find_version(files, "crun") is None


def test_a_program_that_is_not_there_is_not_known(tmp_path: Path) -> None:
    assert find_version(HostFiles(tmp_path), "crun", [Process(1, ("crun",))]) is None
