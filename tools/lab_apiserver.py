"""A real API server for the tests: etcd from a Debian package, kube-apiserver built by Go from its published, checksummed module.

    python tools/lab_apiserver.py             make them, or return at once when they are there
    python tools/lab_apiserver.py kubelet     and kubelet, which no test needs, for trying things out by hand

Debian has no package of a kube-apiserver, and its newest sources are of Kubernetes 1.20.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import lab_helm
from lab import apt

ROOT = Path(__file__).resolve().parent.parent
LAB_DIR = Path(os.environ.get("KOORDNRI_LAB_DIR") or ROOT / ".cache" / "lab").resolve()
MODULE = Path(__file__).resolve().parent / "kubernetes"
"""go.mod names the version and, as Go's `tool`, the programs. `go install …@version` refuses Kubernetes: it replaces modules of its own."""
ETCD_SUITE = "trixie"
_PACKAGE = "k8s.io/kubernetes"


def setup(lab_dir: Path, *more: str) -> None:
    """Have `lab_dir`/etcd and `lab_dir`/kubernetes/kube-apiserver, and the further commands of Kubernetes named in `more`.

    It takes 8 minutes of CPU time and 250 MB of downloads, and leaves 120 MB. Raises apt.AptError, FileNotFoundError when there is no Go to
    be had, CalledProcessError when the build fails; Go has printed why by then.
    """
    target = lab_dir / "kubernetes"
    target.mkdir(parents=True, exist_ok=True)
    with apt.locked(target / "lock"):
        if not (lab_dir / "etcd").exists():
            (deb,) = apt.download(lab_dir, ETCD_SUITE, ["etcd-server"])
            apt.unpack_fresh(deb, lab_dir / "etcd")
        fingerprint = hashlib.sha256((MODULE / "go.sum").read_bytes() + Path(__file__).read_bytes()).hexdigest()
        for command in ("kube-apiserver", *more):
            stamp = target / f"{command}.stamp"
            if not (stamp.exists() and stamp.read_text() == fingerprint):
                _build(command, target)
                stamp.write_text(fingerprint)


def _build(command: str, target: Path) -> None:
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOBIN": str(target.resolve()),
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "auto",
    }
    flags = f"-s -w {_version_flags()}"
    subprocess.run(
        [lab_helm.go(), "install", "-trimpath", f"-ldflags={flags}", f"{_PACKAGE}/cmd/{command}"],
        check=True,
        cwd=MODULE,
        env=environment,
    )


def _version_flags() -> str:
    """Linker flags by which the commands know their version: kubelet and the API server compare theirs, and clients ask for it."""
    named = re.search(rf"{_PACKAGE} (v(\d+)\.(\d+)\.\d+)", (MODULE / "go.mod").read_text())
    if named is None:
        raise OSError(f"{MODULE}/go.mod: expected {_PACKAGE} with a version like v1.37.2, found none")
    values = dict(zip(("gitVersion", "gitMajor", "gitMinor"), named.groups(), strict=True))
    packages = ("client-go/pkg/version", "component-base/version")
    return " ".join(f"-X k8s.io/{package}.{key}={text}" for package in packages for key, text in values.items())


if __name__ == "__main__":
    setup(LAB_DIR, *sys.argv[1:])
