"""The example of a node that gives CPUs itself: valid manifests, and the CPUs that its comments promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from koordnri.model import CPUSet

KOORDNRI = Path(sys.executable).with_name("koordnri")
CPUS = {
    "postgres": "1-2,9-10",
    "exporter": "4-7,12-15",
    "engine": "3,11",
    "nginx": "4-7,12-15",
    "worker": "1-2,4-7,9-10,12-15",
}
"""Container → its CPUs; 0 and 8 are reserved."""


def test_pods_are_valid(root: Path) -> None:
    for pod in yaml.safe_load_all((root / "examples/exclusive-cpus/pods.yaml").read_text()):
        if pod is not None:
            kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("command", ["explain", "simulate"])
def test_who_gets_which_cpus(root: Path, command: str) -> None:
    files = ["-f", root / "examples/exclusive-cpus/pods.yaml", "--node", root / "examples/exclusive-cpus/node.yaml"]
    done = subprocess.run([KOORDNRI, command, *files, "-o", "json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    pods: list[dict[str, Any]] = json.loads(done.stdout)
    containers = [container for pod in pods for container in pod["containers"]]
    cpus = {c["name"]: str(CPUSet.parse(c["fields"]["cpu.cpus"]["value"])) for c in containers}
    assert cpus == CPUS
    for pod in pods:
        assert pod["errors"] == []
