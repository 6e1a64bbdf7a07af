"""NRI's own adaptation for the differential test of the embedded runtime: our program around its published, checksummed module.

containerd and CRI-O have the same adaptation inside; here it is without a container runtime around it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import lab_helm
from lab import apt

MODULE = Path(__file__).resolve().parent / "nri_adaptation"


def setup(lab_dir: Path) -> Path:
    """Return `lab_dir`/nri-adaptation/adaptation, built if it is missing or other sources made it (30 s of CPU time).

    Beside it is `stub`, a plugin on NRI's own stub.

    Raises FileNotFoundError when there is no Go to be had, CalledProcessError (with Go's output) when the build fails.
    """
    target = (lab_dir / "nri-adaptation").resolve()  # Go runs in another directory
    target.mkdir(parents=True, exist_ok=True)
    program, stamp = target / "adaptation", target / "stamp"
    with apt.locked(target / "lock"):
        sources = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go", "stub/main.go"))
        fingerprint = hashlib.sha256(sources + Path(__file__).read_bytes()).hexdigest()
        if not (stamp.exists() and stamp.read_text() == fingerprint):
            for package, built in ((".", program), ("./stub", target / "stub")):
                subprocess.run(
                    # Without plugins in WebAssembly, of which the test has none.
                    [
                        lab_helm.go(),
                        "build",
                        "-trimpath",
                        "-tags",
                        "nri_no_wasm",
                        "-ldflags=-s -w",
                        "-o",
                        built,
                        package,
                    ],
                    check=True,
                    cwd=MODULE,
                    env={**os.environ, "GOTOOLCHAIN": "auto", "GOFLAGS": "-mod=readonly"},
                )
            stamp.write_text(fingerprint)
    return program


if __name__ == "__main__":
    print(setup(Path(".cache/lab")))
