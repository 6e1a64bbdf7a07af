"""kubelet's state file where it is mounted by itself, as in the DaemonSet: the mount keeps the file that kubelet has replaced."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

READ = """
import sys
from pathlib import Path
from koordnri.host.files import HostFiles
from koordnri.host.kubelet import read_cpu_policy
files = HostFiles(Path(sys.argv[1]))
policy, cpus = read_cpu_policy(files)
print(policy, cpus or "-", *files.problems)
"""


def state(cpus: str, policy: str = "static") -> str:
    return json.dumps({"policyName": policy, "defaultCpuSet": "0", "entries": {"uid": {"main": cpus}}, "checksum": 1})


def read_twice(tmp_path: Path, mount: str) -> list[str]:
    """What is read of the file before and after kubelet has replaced it, where `mount` (a script) makes the node's file ours."""
    if os.geteuid() != 0:
        pytest.skip("not root: nothing can be mounted")
    node, ours = tmp_path / "node", tmp_path / "host/var/lib/kubelet"
    for directory in (node, ours):
        directory.mkdir(parents=True)
    (node / "cpu_manager_state").write_text(state("1-2"))
    (node / "next").write_text(state("3"))
    read = shlex.join([sys.executable, "-c", READ, str(tmp_path / "host")])
    replace = f"mv {node}/next {node}/cpu_manager_state"
    script = "\n".join(["set -e", mount.format(node=node, ours=ours), read, replace, read])
    unshare = ["unshare", "--mount", "--propagation=private", "sh", "-c", script]
    done = subprocess.run(unshare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_file_mounted_by_itself_reports_only_the_policy_once_kubelet_has_replaced_it(tmp_path: Path) -> None:
    mount = "touch {ours}/cpu_manager_state; mount --bind -o ro {node}/cpu_manager_state {ours}/cpu_manager_state"
    assert read_twice(tmp_path, mount) == ["static 1-2", "static -"]


def test_in_a_mounted_directory_the_new_file_is_read(tmp_path: Path) -> None:
    assert read_twice(tmp_path, "mount --bind -o ro {node} {ours}") == ["static 1-2", "static 3"]
