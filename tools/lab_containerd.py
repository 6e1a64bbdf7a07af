"""containerd 2.4 for the end-to-end tests: built by Go from its published, checksummed module.

No suite of Debian has it yet. It is the first stable line in which an update that a plugin sends by itself cannot freeze the node.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import lab_helm
from lab import apt

MODULE = Path(__file__).resolve().parent / "containerd"
"""go.mod names the version and, as Go's `tool`, the programs: `go install …@version` refuses a module with tools of its own version."""
NAME = "containerd-2.4"
_TAGS = "no_btrfs,no_devmapper,no_zfs"
"""snapshotters that the tests do not use"""


def setup(lab_dir: Path) -> Path:
    """Return `lab_dir`/containerd-2.4, built if it is missing (2 minutes of CPU time, 80 MB), laid out as Debian's package.

    Raises FileNotFoundError when there is no Go to be had, CalledProcessError (with Go's output) when the build fails.
    """
    target = lab_dir / NAME
    target.mkdir(parents=True, exist_ok=True)
    with apt.locked(target / "lock"):
        stamp = target / "stamp"
        fingerprint = hashlib.sha256((MODULE / "go.sum").read_bytes() + Path(__file__).read_bytes()).hexdigest()
        if not (stamp.exists() and stamp.read_text() == fingerprint):
            _build(target / "usr" / "bin")
            stamp.write_text(fingerprint)
    return target


def _build(directory: Path) -> None:
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOBIN": str(directory.resolve()),
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "auto",
    }
    command = [lab_helm.go(), "install", "-trimpath", "-ldflags=-s -w", "-tags", _TAGS, "tool"]
    subprocess.run(command, check=True, cwd=MODULE, env=environment)


if __name__ == "__main__":
    print(setup(Path(".cache/lab")))
