"""Make koordnri's seccomp profile from the system calls that its end-to-end tests see. As root, with strace:

    mkdir calls
    KOORDNRI_E2E_CALLS=$PWD/calls make test          # or single files: docs/develop/e2e.md
    tools/seccomp.py calls

It adds what strace wrote there to the profile's calls; with --fresh the profile has nothing but that, and the calls of the tables below,
which no test on one machine can show. Without a directory only the tables are added. --check writes nothing and fails where a file differs.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.made_files import keep

ROOT = Path(__file__).resolve().parents[1]
PROFILES = (ROOT / "deploy/seccomp/koordnri.json", ROOT / "helm/koordnri/files/seccomp.json")
"""The same text twice, for a chart is a directory by itself. The first one is read."""

NOT_SEEN = {
    "a runtime's own process, between the filter and the program of the container": (
        "clone close dup3 epoll_create1 epoll_ctl epoll_pwait eventfd2 execve exit fchdir fcntl fstat fstatfs futex getcwd getdents64 "
        "getpid getppid getrandom gettid kill lseek madvise mmap munmap nanosleep newfstatat openat openat2 pipe2 prctl prlimit64 read "
        "readlinkat rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield sigaltstack statx tgkill uname write"
    ),
    "started by the kernel or at the end of a process, where strace does not see a call": (
        "exit_group restart_syscall rt_sigreturn"
    ),
    "Landlock, which not every kernel has": "landlock_add_rule landlock_create_ruleset landlock_restrict_self",
    "the API server's name, looked up and connected to": (
        "bind connect getpeername getsockname getsockopt poll recvfrom recvmsg sendmmsg sendmsg sendto setsockopt shutdown uname"
    ),
    "a shell, which the init container `doctor` is, and commands that people run in the pod": (
        "alarm chdir fadvise64 getegid geteuid getgid getpgrp getuid getxattr kill lgetxattr pause rt_sigsuspend rt_sigtimedwait setitimer "
        "setpgid timer_create timer_delete timer_settime umask"
    ),
    "other versions of Python and of the C library": (
        "access close_range dup dup3 epoll_create1 eventfd2 faccessat faccessat2 getrandom membarrier pread64 prlimit64 pwrite64 rseq "
        "set_robust_list set_tid_address statx wait4 waitid"
    ),
}
"""Why calls are allowed that strace may not show → their names."""

GENERIC = {
    "access": "faccessat",
    "alarm": "setitimer",
    "chmod": "fchmodat",
    "dup2": "dup3",
    "epoll_create": "epoll_create1",
    "epoll_wait": "epoll_pwait",
    "fork": "clone",
    "getdents": "getdents64",
    "getpgrp": "getpgid",
    "inotify_init": "inotify_init1",
    "lstat": "newfstatat",
    "mkdir": "mkdirat",
    "open": "openat",
    "pause": "ppoll",
    "pipe": "pipe2",
    "poll": "ppoll",
    "readlink": "readlinkat",
    "rename": "renameat",
    "rmdir": "unlinkat",
    "select": "pselect6",
    "stat": "newfstatat",
    "symlink": "symlinkat",
    "unlink": "unlinkat",
    "vfork": "clone",
}
"""A call that only x86-64 has → what does the same on aarch64. There the calls are taken from this table; no test runs on it."""

NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET"""
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
"""Kinds of sockets: NRI, HTTP and the API server; the last one to find out whether there is IPv6."""
RESTRICTED: dict[str, list[dict[str, Any]]] = {
    "clone": [{"index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
    "socket": [{"index": 0, "value": family, "op": "SCMP_CMP_EQ"} for family in FAMILIES.values()],
}
"""Calls that are allowed only with one of these arguments."""
NEVER = {"clone3"}
"""Seen, and not allowed: its flags are in memory, where a filter does not see them. The C library falls back to clone."""
ENOSYS = 38
"""A call that is not allowed looks as if the kernel did not have it, so that libraries take an older one."""

_CALL = re.compile(r"^(?:\d+ +)?([a-z_0-9]+)\(", re.MULTILINE)


def seen(directory: Path) -> set[str]:
    """The calls in what strace wrote. Raises ValueError where there is none."""
    names: set[str] = set()
    for file in directory.iterdir():
        names.update(_CALL.findall(file.read_text(errors="replace")))
    if not names:
        raise ValueError(f"{directory}: expected files that strace wrote; was KOORDNRI_E2E_CALLS set for the tests?")
    return names


def complete(names: Iterable[str]) -> list[str]:
    """With what no trace shows, for both architectures, sorted."""
    whole = set(names).union(*(more.split() for more in NOT_SEEN.values())) | RESTRICTED.keys()
    return sorted((whole | {GENERIC[name] for name in whole & GENERIC.keys()}) - NEVER)


def profile(names: Iterable[str]) -> dict[str, Any]:
    """The profile, in the format that containerd (OCI's runtime-spec) and CRI-O read."""
    allowed = [name for name in names if name not in RESTRICTED]
    rules = [
        {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [one]}
        for name in sorted(RESTRICTED)
        for one in RESTRICTED[name]
    ]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": allowed, "action": "SCMP_ACT_ALLOW"}, *rules],
    }


def allowed(document: dict[str, Any]) -> set[str]:
    """The names of the calls that a profile allows, with whatever arguments."""
    return {name for rule in document["syscalls"] for name in rule["names"]}


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    directories = [Path(argument) for argument in arguments if not argument.startswith("--")]
    if len(directories) > 1 or {a for a in arguments if a.startswith("--")} - {"--fresh", "--check"}:
        print(__doc__)
        return 2
    names = set() if "--fresh" in arguments else allowed(json.loads(PROFILES[0].read_text()))
    try:
        names = names.union(*map(seen, directories))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    text = json.dumps(profile(complete(names)), indent=1) + "\n"
    return keep(dict.fromkeys(PROFILES, text), "tools/seccomp.py", "tools/seccomp.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
