"""Helm for the chart's tests: the `helm` binary, built by Go from its published, checksummed module."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

# The newest line that Debian 13's Go (1.24) builds; any Helm 3 would do.
VERSION = "v3.18.6"


def setup(lab_dir: Path) -> Path:
    """Return `lab_dir`/bin/helm, built there if it is missing (2 minutes and 350 MB of downloads on two cores).

    A Helm 3 that is on PATH already is linked instead of built. Needs Go >= 1.24 (or >= 1.21 that may fetch a newer
    toolchain); as root on Debian an absent Go is installed by apt-get.

    Raises FileNotFoundError when there is no Go to be had, CalledProcessError (with Go's output) when the build fails.
    """
    helm = lab_dir / "bin" / "helm"
    if helm.exists():
        return helm
    helm.parent.mkdir(parents=True, exist_ok=True)
    installed = shutil.which("helm")
    if installed and _version(Path(installed)).startswith("v3."):
        helm.symlink_to(installed)
        return helm
    # -trimpath and -s -w: half the size, the same bytes on every machine.
    subprocess.run(
        [go(), "install", "-trimpath", "-ldflags=-s -w", f"helm.sh/helm/v3/cmd/helm@{VERSION}"],
        check=True,
        env={**os.environ, "GOBIN": str(helm.parent.resolve()), "GOTOOLCHAIN": "auto"},
    )
    return helm


def _version(helm: Path) -> str:
    shown = subprocess.run([helm, "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def go() -> str:
    """The Go command, installed if need be and possible. Raises FileNotFoundError."""
    if found := shutil.which("go"):
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "golang-go"], check=True)
        if found := shutil.which("go"):
            return found
    raise FileNotFoundError(
        "`go` was not found on PATH, which builds helm and CRI-O; install Go >= 1.24, or Helm 3 itself"
    )


if __name__ == "__main__":
    print(setup(Path(".cache/lab")))
