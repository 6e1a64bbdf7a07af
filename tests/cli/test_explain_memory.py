"""`explain -f` runs beside the daemon, in a container of 128 MiB for both: a full node's pods must not take it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

PODS = 1250
MOST_KIB = 100 << 10


def pod(number: int) -> dict[str, object]:
    """A pod as `kubectl get pods -o yaml` prints it, of some 4 KiB; most of it no concern of koordnri's."""
    container = {
        "name": "main",
        "env": [{"name": f"VARIABLE_{i}", "value": f"value {i} of pod {number}"} for i in range(12)],
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "2", "memory": "1Gi"}},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 1},
    }
    conditions = [{"type": f"Condition{i}", "status": "True", "lastTransitionTime": "2026-01-01"} for i in range(12)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"web-{number}", "labels": {"koordinator.sh/qosClass": "LS", "app": f"app-{number}"}},
        "spec": {"containers": [container], "nodeName": "n"},
        "status": {"phase": "Running", "conditions": conditions},
    }


# Not getrusage: there a child begins with what its parent had.
PROGRAM = """
import pathlib, re, sys
from koordnri.cli import cli
cli(sys.argv[1:], standalone_mode=False)
print(re.search("VmHWM: *([0-9]+) kB", pathlib.Path("/proc/self/status").read_text().expandtabs(1))[1], file=sys.stderr)
"""


def peak_kib(path: Path) -> tuple[int, str]:
    """Most memory that the command had at a time, and its output."""
    command = [sys.executable, "-c", PROGRAM, "explain", "-f", str(path), "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stderr.splitlines()[-1]), done.stdout


def test_a_full_node_in_one_yaml_document_stays_below_100_mib(tmp_path: Path) -> None:
    path = tmp_path / "pods.yaml"
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    path.write_text(yaml.dump({"kind": "List", "items": [pod(i) for i in range(PODS)]}, Dumper=dumper))
    kib, printed = peak_kib(path)
    assert len(json.loads(printed)) == PODS
    assert kib < MOST_KIB
