"""What the tests of the container image need: buildah and debootstrap, and a base image that debootstrap makes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import debian_base
from lab import apt, image

PROGRAMS = ("buildah", "debootstrap")
"""Debian's packages have the same names."""


def setup(lab_dir: Path) -> Path:
    """Return `lab_dir`/image/base.tar, an OCI archive, made if it is missing or was made by other scripts (30 s of CPU time).

    As root on Debian, absent programs are installed by apt-get. Raises FileNotFoundError when one is not to be had, and what
    debian_base.make raises.
    """
    install(PROGRAMS)
    base = lab_dir / "image" / "base.tar"
    stamp = base.with_suffix(".stamp")
    base.parent.mkdir(parents=True, exist_ok=True)
    with apt.locked(base.with_suffix(".lock")):
        fingerprint = _fingerprint()
        if not (base.exists() and stamp.exists() and stamp.read_text() == fingerprint):
            debian_base.make(base)
            stamp.write_text(fingerprint)
    return base


def install(programs: Iterable[str]) -> None:
    """Install those of these programs that are not on PATH; Debian's packages have the same names. Raises FileNotFoundError."""
    packages = [program for program in programs if not shutil.which(program)]
    if not packages:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        # buildah recommends an OCI runtime, and tools/image.sh needs none.
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        subprocess.run(command, check=True, env=environment)
    absent = [package for package in packages if not shutil.which(package)]
    if absent:
        raise FileNotFoundError(f"{', '.join(absent)} not on PATH; install Debian's packages of these names")


def _fingerprint() -> str:
    digest = hashlib.sha256(apt.machine_suite().encode())
    for module in (debian_base, image):
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    print(setup(Path(".cache/lab")))
