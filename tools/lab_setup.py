"""Prepare the test laboratory: real containerds, runc, the CRI and NRI protocol files, a test image, an API server, a
browser, a base for the container image.

    python tools/lab_setup.py [--only host]

`make test` (with --only host) and `make test-full` run this before pytest. Everything goes below .cache/lab (or
KOORDNRI_LAB_DIR); nothing is installed on the machine. Once done, a stamp
makes the next run return at once; delete .cache/lab to start over.

Where a part of the laboratory cannot be had (not root, not Debian, no archive), it says so in a line beginning with
"skips:" and exits 0, so that the other tests still run; with CI set it exits 1, for in CI nothing is skipped.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lab_apiserver
import lab_browser
import lab_containerd
import lab_crio
import lab_crio_parts
import lab_helm
import lab_image
import lab_nri
import lab_nri_plugins
import lab_promtool
from lab import apt, image

ROOT = Path(__file__).resolve().parent.parent
LAB_DIR = Path(os.environ.get("KOORDNRI_LAB_DIR") or ROOT / ".cache" / "lab").resolve()

# Suite of each containerd: trixie has 1.7 (NRI 0.6), sid 2.1 (NRI 0.8). Both run on Debian 12's libc. 2.4 is built: lab_containerd.
CONTAINERDS = {"containerd-1.7": "trixie", "containerd-2": "sid"}
NRI_PROTO_SUITES = ("trixie", "sid")
CRI_SUITE = "sid"


def main() -> int:
    parser = argparse.ArgumentParser(description="Prepare the laboratory of the end-to-end tests.")
    parser.add_argument("--only", choices=["host"], help="host: what `make test` needs, the containerds")
    only = parser.parse_args().only

    steps: dict[str, Callable[[Path], object]] = {"end-to-end tests on real containerds": setup_host}
    if only is None:
        steps |= {
            "tests of the chart": lab_helm.setup,
            "tests of the page in a browser": lab_browser.setup,
            "tests of the alerts": lab_promtool.setup,
            "tests of the container image": lab_image.setup,
            "end-to-end tests on containerd 2.4": lab_containerd.setup,
            "end-to-end tests on CRI-O": lab_crio.setup,
            "end-to-end tests on CRI-O, for want of image or monitor": lab_crio_parts.setup,
            "the embedded runtime against NRI's own adaptation": lab_nri.setup,
            "the hook injection beside NRI's sample plugins": lab_nri_plugins.setup,
            "tests against a real API server": lab_apiserver.setup,
            "tests in the virtual machine": _setup_vm,
        }
    unfit = _unfit()
    if unfit is not None:
        missing = {", ".join(steps): unfit}
    else:
        failures = ((skipped, _failure(step)) for skipped, step in steps.items())
        missing = {skipped: reason for skipped, reason in failures if reason is not None}
    for skipped, reason in missing.items():
        _say(f"skips: {skipped}: {reason}")
    if missing and os.environ.get("CI"):
        _say("CI is set, and there nothing may be skipped: failing")
        return 1
    return 0


def _failure(step: Callable[[Path], object]) -> str | None:
    """Why this part of the laboratory cannot be had, or None when it is there."""
    try:
        LAB_DIR.mkdir(parents=True, exist_ok=True)
        step(LAB_DIR)
    except (apt.AptError, OSError, subprocess.CalledProcessError) as error:
        return str(error)
    return None


def setup_host(lab_dir: Path) -> None:
    """Everything the tests on this machine need, below `lab_dir`; returns at once when the stamp says it is there.

    Raises apt.AptError, OSError or CalledProcessError with the package or command that failed.
    """
    with apt.locked(lab_dir / "lock"):
        _setup_host(lab_dir)


def _setup_host(lab_dir: Path) -> None:
    stamp = lab_dir / "host.json"
    fingerprint = _fingerprint()
    if stamp.exists() and json.loads(stamp.read_text())["fingerprint"] == fingerprint:
        return
    versions: dict[str, str] = {}
    own = apt.machine_suite()
    for name, suite in CONTAINERDS.items():
        (deb,) = apt.download(lab_dir, suite, ["containerd"])
        apt.unpack_fresh(deb, lab_dir / name)
        versions[name] = apt.version(deb)
    # Newer runc packages need a newer libc than Debian 12 has; the machine's own always fits.
    runc, busybox = apt.download(lab_dir, own, ["runc", "busybox-static"])
    for name, deb in (("runc", runc), ("busybox", busybox)):
        apt.unpack_fresh(deb, lab_dir / name)
        versions[name] = apt.version(deb)
    image.pack(lab_dir / "busybox" / "bin" / "busybox", lab_dir / "images" / "busybox.tar")
    for suite in NRI_PROTO_SUITES:
        (deb,) = apt.download(lab_dir, suite, ["golang-github-containerd-nri-dev"])
        version = apt.upstream(apt.version(deb))
        _extract_proto(deb, "github.com/containerd/nri/pkg/api/api.proto", lab_dir / "nri-proto" / version)
        versions[f"nri-proto of {suite}"] = version
    (deb,) = apt.download(lab_dir, CRI_SUITE, ["golang-k8s-cri-api-dev"])
    versions["cri-proto"] = apt.upstream(apt.version(deb))
    _compile_cri(deb, lab_dir / "cri")
    stamp.write_text(json.dumps({"fingerprint": fingerprint, "versions": versions}, indent=1) + "\n")
    _say("laboratory: " + ", ".join(f"{name} {version}" for name, version in versions.items()))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _unfit() -> str | None:
    if os.geteuid() != 0:
        return "not root, and containers on a real containerd need it; run as root"
    try:
        apt.machine_suite()
    except apt.AptError as error:
        return str(error)
    missing = [tool for tool in ("apt-get", "dpkg", "dpkg-deb") if shutil.which(tool) is None]
    return f"{', '.join(missing)} not found; install apt and dpkg" if missing else None


def _fingerprint() -> str:
    """Of what decides the laboratory's content: the scripts, Python (the compiled CRI) and the machine's release."""
    digest = hashlib.sha256(f"{sys.version} {apt.machine_suite()}".encode())
    for source in (Path(__file__), *sorted((Path(__file__).parent / "lab").glob("*.py"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _extract_proto(deb: Path, path: str, target: Path) -> Path:
    unpacked = target.with_name(target.name + ".new")
    apt.unpack(deb, unpacked)
    target.mkdir(parents=True, exist_ok=True)
    found = shutil.copyfile(unpacked / "usr/share/gocode/src" / path, target / "api.proto")
    shutil.rmtree(unpacked)
    return found


def _compile_cri(deb: Path, target: Path) -> None:
    """The CRI messages as module cri_api_pb2 in `target`; the tests call the services by name, without stubs."""
    proto = _extract_proto(deb, "k8s.io/cri-api/pkg/apis/runtime/v1/api.proto", target)
    # Its own file name in protobuf's process-wide registry, where NRI's file is called api.proto too. Older
    # versions import gogo's options, which only steer Go's code generator.
    text = "".join(line for line in proto.read_text().splitlines(keepends=True) if "gogoproto" not in line)
    renamed = target / "cri_api.proto"
    renamed.write_text(text)
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{target}", f"--python_out={target}", str(renamed)],
        check=True,
    )


def _setup_vm(lab_dir: Path) -> None:
    if (Path(__file__).parent / "lab_vm.py").exists():
        importlib.import_module("lab_vm").setup(lab_dir)


if __name__ == "__main__":
    sys.exit(main())
