"""CRI-O for the end-to-end tests: built by Go from its published, checksummed module, with its helper `pinns`, which is C.

Debian's packages of it are older than what is tested here. conmon, its monitor of containers, and buildah, which puts the test image
into its store, are Debian packages.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import lab_helm
import lab_image
from lab import apt

MODULE = Path(__file__).resolve().parent / "crio"
"""go.mod names the version: `go install …@version` refuses CRI-O's list of versions."""
_TAGS = "containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_devicemapper"
"""no C libraries but libc"""
_PACKAGE = "github.com/cri-o/cri-o"
PROGRAMS = ("conmon", "buildah", "gcc")


def setup(lab_dir: Path) -> Path:
    """Return `lab_dir`/crio with crio and pinns, built if they are missing (4 minutes of CPU time, 300 MB of downloads).

    As root on Debian, absent programs are installed by apt-get. Raises FileNotFoundError when one is not to be had, CalledProcessError
    (with Go's output) when the build fails.
    """
    target = (lab_dir / "crio").resolve()  # Go runs in another directory
    target.mkdir(parents=True, exist_ok=True)
    with apt.locked(target / "lock"):
        lab_image.install(PROGRAMS)
        stamp = target / "stamp"
        fingerprint = hashlib.sha256((MODULE / "go.sum").read_bytes() + Path(__file__).read_bytes()).hexdigest()
        if not (stamp.exists() and stamp.read_text() == fingerprint):
            _build(target)
            stamp.write_text(fingerprint)
    return target


def _build(target: Path) -> None:
    go, environment = lab_helm.go(), {**os.environ, "GOTOOLCHAIN": "auto", "GOFLAGS": "-mod=readonly"}
    where = {"check": True, "cwd": MODULE, "env": environment}
    subprocess.run(
        [go, "build", "-trimpath", "-ldflags=-s -w", "-tags", _TAGS, "-o", target / "crio", f"{_PACKAGE}/cmd/crio"],
        **where,
    )
    source = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", _PACKAGE], capture_output=True, text=True, **where
    ).stdout.strip()
    subprocess.run(
        ["gcc", "-O2", "-o", target / "pinns", *sorted((Path(source) / "pinns/src").glob("*.c"))], check=True
    )


if __name__ == "__main__":
    print(setup(Path(".cache/lab")))
