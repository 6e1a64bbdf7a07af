"""`koordnri doctor` and `report` beside a real runtime: no false alarm about NRI, and each pod's decision in the file."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from typing import Any

from tests.e2e import pods
from tests.e2e.containerd import Containerd
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet

NewDaemon = Callable[..., Daemon]


def koordnri(runtime: Containerd, daemon: Daemon, *arguments: str) -> bytes:
    """What the command prints."""
    options = (
        "--nri-socket",
        str(runtime.nri_socket),
        "--state-dir",
        str(daemon.state_dir),
    )
    return subprocess.run(
        [sys.executable, "-c", "from koordnri.cli import main; main()", *arguments, *options],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
    ).stdout


def codes(output: bytes) -> dict[str, Any]:
    return {finding["code"]: finding for finding in json.loads(output)["findings"]}


def test_a_node_that_works_has_no_error_about_nri_or_the_daemon(
    runtime: Containerd, kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon()
    before = codes(koordnri(runtime, daemon, "doctor", "-o", "json"))
    assert "KN0901" in before
    daemon.start()
    pods.plain(kubelet)
    found = codes(koordnri(runtime, daemon, "doctor", "-o", "json"))
    # KN0106 to KN0110 are about versions, which differ by machine.
    # KN0602: other tests' daemons may run on this machine. KN0201 and KN0202 are about its load.
    assert {code for code in found if code.startswith(("KN01", "KN09"))} <= {
        "KN0106",
        "KN0107",
        "KN0108",
        "KN0109",
        "KN0110",
    }, found
    with tarfile.open(fileobj=io.BytesIO(koordnri(runtime, daemon, "report", "-o", "-"))) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert [name for name in names if name.startswith("v1/explain/")]
    assert {"v1/status.json", "v1/node.json", "metrics.txt", "doctor.json"} <= names
