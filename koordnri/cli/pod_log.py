"""The end of the daemon's own log, where it can be reached: kubelet's files of our pod, or the file of a launched plugin."""

from __future__ import annotations

import os
from pathlib import Path

MOST_BYTES = 1 << 20
_PODS = "var/log/pods"
_LAUNCHED = "koordnri.log"
"""in the state directory: koordnri.cli.run, for a plugin that the runtime launched"""


def log_tail(host_root: Path, state_dir: Path) -> tuple[str, str]:
    """(the end of the newest log, "") or ("", why there is none)."""
    found = [state_dir / _LAUNCHED, *(host_root / _PODS).glob("*_koordnri-*_*/koordnri/*.log")]
    newest = max((path for path in found if path.is_file()), key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        where = f"no log of a koordnri pod below {host_root / _PODS}, which a pod does not see, and no {state_dir / _LAUNCHED}"
        return "", f"{where}; take it by `kubectl -n koordnri-system logs POD` or from the journal"
    try:
        return _tail(newest), ""
    except OSError as error:
        return "", f"{newest}: {error.strerror}"


def _tail(path: Path) -> str:
    """Whole lines, MOST_BYTES at most. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MOST_BYTES))
        content = file.read(MOST_BYTES)
    if size > MOST_BYTES:
        content = content.partition(b"\n")[2]
    return content.decode(errors="replace")
