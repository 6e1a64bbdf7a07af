"""Where the laboratory is and what it offers; tools/lab_setup.py fills it.

The virtual machine brings its own copies, hence the environment:
    KOORDNRI_LAB_DIR        directory of the laboratory, default .cache/lab of this checkout
    KOORDNRI_E2E_RUNTIMES   runtimes to test, by their directories in it, comma-separated, default all
    KOORDNRI_E2E_SYSTEMD    1: containerd and kubelet use the systemd cgroup driver, default 0
    KOORDNRI_E2E_RUNC       runc to use, default the laboratory's
    KOORDNRI_E2E_APISERVER  directory with `url` and `ca.crt` of an API server that runs outside of the machine, default none
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
LAB_DIR = Path(os.environ.get("KOORDNRI_LAB_DIR") or ROOT / ".cache" / "lab").resolve()
CRIO = "crio"
CONTAINERD_2_4 = "containerd-2.4"
_ALL = f"{CRIO},containerd-1.7,{CONTAINERD_2_4},containerd-2"
RUNTIMES = tuple((os.environ.get("KOORDNRI_E2E_RUNTIMES") or _ALL).split(","))
SYSTEMD = os.environ.get("KOORDNRI_E2E_SYSTEMD") == "1"
RUNC = Path(os.environ.get("KOORDNRI_E2E_RUNC") or LAB_DIR / "runc" / "usr" / "sbin" / "runc")
API_SERVER = Path(os.environ["KOORDNRI_E2E_APISERVER"]) if os.environ.get("KOORDNRI_E2E_APISERVER") else None
IMAGE_TAR = LAB_DIR / "images" / "busybox.tar"
IMAGE = "koordnri.test/busybox:1"
CI = bool(os.environ.get("CI"))


def lacks(runtime: str) -> str | None:
    """Why `runtime` cannot be tested here, or None when it can."""
    if os.geteuid() != 0:
        return "not root: a real containerd needs it"
    crio = [LAB_DIR / CRIO / "crio", LAB_DIR / "crio-parts" / "stamp"]
    binaries = crio if runtime == CRIO else [LAB_DIR / runtime / "usr" / "bin" / "containerd"]
    needed = [*binaries, RUNC, IMAGE_TAR, LAB_DIR / "cri" / "cri_api_pb2.py"]
    absent = [str(path) for path in needed if not path.exists()]
    return f"laboratory incomplete, no {', '.join(absent)}: run python tools/lab_setup.py" if absent else None


def cri_messages() -> Any:
    """Module of the compiled CRI messages. It has no stubs, hence Any."""
    directory = str(LAB_DIR / "cri")
    if directory not in sys.path:
        sys.path.append(directory)
    return importlib.import_module("cri_api_pb2")
