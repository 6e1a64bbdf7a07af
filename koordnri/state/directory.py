"""The state directory belongs to root alone, however it was made: a hostPath volume is made by kubelet, with mode 0755.

Notes, history and the policy name pods and what they get, which is nobody else's business.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

_OURS = re.compile(
    r"(baselines|interrupts|notes|originals|policy|probe|resctrl|terway|written)\.json(\.new|\.bad)?|history\.jsonl(\.1)?|koordnri\.(lock|sock|log|log\.1)"
    r"|exposed|\.koordnri-.*"
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private(directory: Path) -> str:
    """Make the directory, or keep others out of it and its files. Returns why it stays open to them; "" when it does not.

    A directory with files of others, such as /var/lib, is not touched, but ours in it are. Raises OSError.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    strangers = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name) is None:
                strangers.append(entry.name)
                continue
            with contextlib.suppress(FileNotFoundError):  # another daemon of this node has renamed it
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mode & _OTHERS:
                    os.chmod(entry.path, 0o600)
    mode = stat.S_IMODE(directory.stat().st_mode)
    if not mode & _OTHERS:
        return ""
    if strangers:
        return f'{directory}: its mode stays {mode:04o}, because it has files of others, such as "{min(strangers)}"'
    directory.chmod(0o700)
    return ""
