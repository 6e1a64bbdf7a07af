"""`koordnri release`, over the real control socket: back to what kubelet asked for, and what cannot go back."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from koordnri.cli import cli
from koordnri.observe.control import ControlServer
from koordnri.reconcile.compare.rows import Released
from tests.observe.controlled import Controlled
from tests.reconcile.fake_node import FakeNode, busy_node


class Served:
    """A node whose daemon is asked."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.before = busy_node(1).files()
        """as kubelet set it up"""
        self.node: FakeNode = busy_node(1)
        self.node.run_pass()
        self.controlled = Controlled(self.node)
        self.server = ControlServer(directory, self.controlled)

    def release(self, *options: str) -> Result:
        return CliRunner().invoke(cli, ["release", *options], env={"KOORDNRI_STATE_DIR": str(self.directory)})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    it = Served(tmp_path)
    yield it
    it.server.close()


def cells(done: Result) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]


def test_one_pod_is_given_back_with_before_and_after(served):
    done = served.release("--pod", "shop/pinned")
    assert done.exit_code == 0
    assert cells(done) == [
        ["shop/pinned", "(pod)", "cpu.cpus", "2,3", "0,1,2,3,4,5,6,7", "written"],
        ["", "", "cpu.quota", "-1 (unlimited)", "200000", "written"],
        ["", "main", "cpu.cpus", "2,3", "0,1,2,3,4,5,6,7", "written"],
        ["", "", "cpu.quota", "-1 (unlimited)", "200000", "written"],
    ]
    assert done.stdout.splitlines()[-1] == "koordnri leaves shop/pinned alone until the daemon restarts"
    cgroups = served.node.kernel.cgroups
    assert (cgroups["kubepods/pinned"].quota, cgroups["kubepods/besteffort/batch"].quota) == (200_000, 75_000)


def test_all_pods_are_given_back_and_a_second_time_changes_nothing(served):
    done = served.release("--all", "-o", "json")
    assert done.exit_code == 0
    released = json.loads(done.stdout)["released"]
    assert {(r["pod"], r["container"]) for r in released} == {
        ("pinned", None), ("pinned", "main"), ("batch", None), ("batch", "main"), ("batch", "side")
    }  # fmt: skip
    assert {r["status"] for r in released} == {"written"}
    again = served.release("--all")
    assert again.exit_code == 0
    assert again.stdout == (
        "nothing had to be changed; koordnri leaves all pods of this node, and those that come, alone "
        "until the daemon restarts\n"
    )


def test_what_cannot_be_brought_back_is_reported_and_ends_with_1(served):
    write = served.node.kernel.write

    def refuse(path: str, text: str) -> None:
        if path.endswith("pinned/cpu.cfs_quota_us"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        write(path, text)

    served.node.kernel.write = refuse
    done = served.release("--pod", "shop/pinned")
    assert done.exit_code == 1
    assert "refused: " in " ".join(done.stdout.split())
    assert done.stderr == "1 of 4 fields could not be brought back\n"


def test_what_stays_until_a_restart_is_no_failure(served, monkeypatch):
    stays = Released("shop", "pinned", "main", "rdt.closid", "LSR", "LSR", "restart")
    monkeypatch.setattr(served.controlled, "release", lambda pod: [stays])
    done = served.release("--pod", "shop/pinned")
    assert done.exit_code == 0
    assert cells(done) == [["shop/pinned", "main", "rdt.closid", "LSR", "LSR", "stays until a restart"]]


def test_what_was_given_back_of_the_classes_is_in_the_table(served, monkeypatch):
    rows = [
        Released("shop", "a", "main", "memory.min", 4096, 0, "written"),
        Released("", "", "", "memory.min", 8192, 0, "written", kube_class="Burstable"),
        Released("", "", "", "cpu.idle", 1, 0, "written", kube_class="BestEffort"),
    ]
    monkeypatch.setattr(served.controlled, "release", lambda pod: rows)
    done = served.release("--all")
    assert done.exit_code == 0
    assert [row[:3] for row in cells(done)] == [
        ["shop/a", "main", "memory.min"],
        ["QoS class Burstable", "", "memory.min"],
        ["QoS class BestEffort", "", "cpu.idle"],
    ]


def test_a_pod_that_is_not_here(served):
    done = served.release("--pod", "shop/gone")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: the daemon behind {served.directory}/koordnri.sock says: shop/gone has no sandbox on this node\n"
    )


@pytest.mark.parametrize(
    "options", [[], ["--pod", "a/b", "--all"], ["--pod", "a"], ["--pod", "/a"], ["--pod", "a/b/c"]]
)
def test_one_pod_or_all_of_them(served, options):
    done = served.release(*options)
    assert done.exit_code == 2
    assert "expected" in done.stderr
    assert served.node.state.released == frozenset()


def test_without_a_daemon_it_says_where_it_looked(tmp_path):
    done = CliRunner().invoke(cli, ["release", "--all", "--state-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert f"{tmp_path}/koordnri.sock: there is no such socket" in done.stderr
