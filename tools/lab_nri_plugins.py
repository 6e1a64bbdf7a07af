"""NRI's sample plugins, beside which the hook `injection` is tested: built by Go from Debian's source package of NRI.

Each of them is a Go module of its own that no module proxy serves, and NRI's module has none of them inside. The package is older than
what is current; KOORDNRI_NRI_PLUGINS names a directory with newer programs, for the tests that need them (docs/develop/e2e.md).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import lab_helm
from lab import apt

SUITE, PACKAGE = "sid", "golang-github-containerd-nri"
PROGRAMS = ("device-injector", "hook-injector", "template", "ulimit-adjuster")
NAME = "nri-plugins"


def setup(lab_dir: Path) -> Path:
    """Return `lab_dir`/nri-plugins with the programs, built if they are missing or other sources made them (15 s of CPU time).

    Raises apt.AptError without the package, FileNotFoundError when there is no Go to be had, CalledProcessError when the build fails.
    """
    target = lab_dir / NAME
    target.mkdir(parents=True, exist_ok=True)
    with apt.locked(target / "lock"):
        stamp = target / "stamp"
        fingerprint = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        if not (stamp.exists() and stamp.read_text() == fingerprint):
            _build(apt.download_source(lab_dir, SUITE, PACKAGE), target)
            stamp.write_text(fingerprint)
    return target


def _build(tarball: Path, target: Path) -> None:
    source = target / "source"
    source.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xf", tarball, "-C", source], check=True)
    (plugins,) = source.glob("*/plugins")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOFLAGS": "-mod=readonly"}
    for name in PROGRAMS:
        command = [lab_helm.go(), "build", "-trimpath", "-ldflags=-s -w", "-o", target.resolve() / name, "."]
        subprocess.run(command, check=True, cwd=plugins / name, env=environment)


if __name__ == "__main__":
    print(setup(Path(".cache/lab")))
