"""The system calls of koordnri's processes, for its seccomp profile: strace writes them down, and tools/seccomp.py reads them.

KOORDNRI_E2E_CALLS   an existing directory, which gets a file for each process that the tests start; default: nothing is traced
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

_DIRECTORY = os.environ.get("KOORDNRI_E2E_CALLS")


def traced(command: Sequence[str]) -> list[str]:
    """The command, or one that runs it under strace with the same process id."""
    if not _DIRECTORY:
        return list(command)
    file = Path(_DIRECTORY, f"{uuid.uuid4().hex}.strace")
    # -DD: strace becomes a grandchild in a process group of its own, so that signals of the tests meet koordnri.
    return ["strace", "-DD", "-f", "-qq", "-s", "0", "-e", "signal=none", "-o", str(file), *command]
