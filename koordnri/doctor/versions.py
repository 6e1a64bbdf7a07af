"""Versions of runtimes, from `PROGRAM --version` of the host's own binaries where they can be reached."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterable

from koordnri.host.files import HostFiles
from koordnri.host.processes import Process
from koordnri.wire.versions import Version, parse_version

PATIENCE_S = 5.0
"""s for one program; they answer within 0.1 s"""
DIRECTORIES = (
    "usr/bin",
    "usr/local/bin",
    "usr/sbin",
    "usr/local/sbin",
    "opt/bin",
    "usr/libexec/crio",
    "var/lib/rancher/k3s/data/current/bin",
    "var/lib/rancher/rke2/bin",
)
"""Where distributions put containerd, crio, runc and crun."""
_WORD = re.compile(r"\bv?\d+\.\d+[^\s,]*")


def find_version(files: HostFiles, program: str, processes: Iterable[Process] = ()) -> tuple[str, Version] | None:
    """The binary's path on the host, and its version. The binary of a running process takes precedence. None: not found, or it
    prints no version.
    """
    for path in _candidates(files, program, processes):
        text = _say_version(files.path(path))
        version = next((v for word in _WORD.findall(text) if (v := parse_version(word)) is not None), None)
        if version is not None:
            return f"/{path}", version
    return None


def _candidates(files: HostFiles, program: str, processes: Iterable[Process]) -> Iterable[str]:
    for process in processes:
        if process.program == program:
            with contextlib.suppress(OSError):  # without ptrace's right nobody may read the link
                yield os.readlink(files.path(f"proc/{process.pid}/exe")).removesuffix(" (deleted)").lstrip("/")
    for directory in DIRECTORIES:
        yield f"{directory}/{program}"


def _say_version(path: str) -> str:
    """The beginning of what it prints; "" when it cannot be run here."""
    if not os.access(path, os.X_OK):
        return ""
    try:
        # The host's administrator put it there, and the runtime runs it as root at every container.
        done = subprocess.run(  # noqa: S603
            [path, "--version"], capture_output=True, timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL, env={}
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[:400].decode(errors="replace")
