"""The seccomp profile is made of what strace saw and of tables, and allows nothing by which a container is left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools import seccomp

ROOT = Path(__file__).parents[2]

STRACE = """\
4711 execve("/usr/bin/python3", 0x7ffe /* 10 vars */) = 0
4711 openat(AT_FDCWD, ""..., O_RDONLY|O_CLOEXEC) = 3
4712 futex(0x7f, FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 0, NULL, FUTEX_BITSET_MATCH_ANY <unfinished ...>
4711 <... inotify_add_watch resumed>)        = 1
4711 poll([{fd=3, events=POLLIN}], 1, 1000) = 0 (Timeout)
4711 +++ exited with 0 +++
clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD}, 88) = 4713
"""
DANGEROUS = {
    *(
        "acct",
        "add_key",
        "bpf",
        "chroot",
        "clone3",
        "delete_module",
        "finit_module",
        "fsopen",
        "init_module",
        "io_uring_setup",
    ),
    *(
        "kexec_load",
        "keyctl",
        "mknod",
        "mknodat",
        "mount",
        "move_mount",
        "name_to_handle_at",
        "open_by_handle_at",
        "open_tree",
    ),
    *(
        "perf_event_open",
        "personality",
        "pivot_root",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
        "reboot",
        "request_key",
    ),
    *("setns", "settimeofday", "swapon", "syslog", "umount2", "unshare", "userfaultfd"),
}


@pytest.fixture
def profile() -> dict[str, Any]:
    """As it is shipped."""
    document: dict[str, Any] = json.loads(seccomp.PROFILES[0].read_text())
    return document


def test_calls_are_read_from_what_strace_writes(tmp_path: Path) -> None:
    (tmp_path / "a.strace").write_text(STRACE)
    (tmp_path / "b.strace").write_text("1 mkdir()\n")
    # A call that began before strace looked is not taken: who made it is not known to have been koordnri.
    assert seccomp.seen(tmp_path) == {"execve", "openat", "futex", "poll", "clone3", "mkdir"}


def test_a_directory_without_any_call_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.strace").write_text("strace: exec: No such file or directory\n")
    with pytest.raises(ValueError, match="KOORDNRI_E2E_CALLS"):
        seccomp.seen(tmp_path)


def test_a_call_that_only_one_architecture_has_brings_the_others() -> None:
    names = seccomp.complete(["epoll_wait", "mkdir", "poll"])
    assert {"epoll_wait", "epoll_pwait", "mkdir", "mkdirat", "poll", "ppoll"} <= set(names)
    assert names == sorted(names)


def test_what_is_refused_whatever_is_seen() -> None:
    assert "clone3" not in seccomp.complete(["clone3"])


def test_whoever_makes_the_profile_again_gets_the_same(profile: dict[str, Any]) -> None:
    """So it is sorted, has all of the tables, and is the same in deploy/ and in the chart."""
    done = subprocess.run([sys.executable, ROOT / "tools/seccomp.py", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", seccomp.ENOSYS)
    assert profile["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"]


def test_nothing_by_which_a_container_is_left_is_allowed(profile: dict[str, Any]) -> None:
    assert seccomp.allowed(profile) & DANGEROUS == set()


def test_processes_start_in_no_new_namespaces_and_sockets_are_of_four_kinds(profile: dict[str, Any]) -> None:
    rules = {
        name: [rule.get("args") for rule in profile["syscalls"] if name in rule["names"]] for name in seccomp.RESTRICTED
    }
    assert rules["clone"] == [[{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]]
    families = [rule[0]["value"] for rule in rules["socket"]]
    assert families == [1, 2, 10, 16]
