"""Run a command under a seccomp profile as runc does, by libseccomp: python under_seccomp.py PROFILE COMMAND [ARGUMENT...]

It takes the parts of the format that koordnri's profile uses. What is refused before the command runs, execve itself, fails here.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

LIBRARY = "libseccomp.so.2"
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
_ARCHITECTURES = {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_AARCH64": 0xC00000B7}
_COMPARISONS = {"SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}
_UNKNOWN = -1
_THERE_ALREADY = -17
"""EEXIST, of this machine's own architecture"""


class _Condition(ctypes.Structure):
    _fields_ = (
        ("index", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def confine(profile: dict[str, Any]) -> None:
    """From now on this process and its children make only the profile's system calls. Raises OSError."""
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ERRNO | profile["defaultErrnoRet"])))
    for name in profile["architectures"]:
        code = library.seccomp_arch_add(context, ctypes.c_uint32(_ARCHITECTURES[name]))
        _check(0 if code == _THERE_ALREADY else code)
    for rule in profile["syscalls"]:
        assert rule["action"] == "SCMP_ACT_ALLOW"
        conditions = [
            _Condition(one["index"], _COMPARISONS[one["op"]], one["value"], one.get("valueTwo", 0))
            for one in rule.get("args", ())
        ]
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != _UNKNOWN:
                array = (_Condition * len(conditions))(*conditions)
                _check(library.seccomp_rule_add_array(context, ctypes.c_uint32(ALLOW), number, len(array), array))
    _check(library.seccomp_load(context))


def _check(code: int) -> None:
    if code < 0:
        raise OSError(-code, os.strerror(-code))


if __name__ == "__main__":
    confine(json.loads(Path(sys.argv[1]).read_text()))
    os.execvp(sys.argv[2], sys.argv[2:])
