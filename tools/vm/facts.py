"""What a node shows of its CPUs, NUMA nodes and cgroups, collected in the guest."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .machine import VMError, run_job

SCRIPT = """#!/bin/sh
# One line for each: file name, colon, content.
cd /sys/devices/system
grep -H . cpu/online cpu/cpu[0-9]*/topology/*_id cpu/cpu[0-9]*/topology/*_list cpu/cpu[0-9]*/cache/index*/id \\
  cpu/cpu[0-9]*/cache/index*/level cpu/cpu[0-9]*/cache/index*/shared_cpu_list node/online node/node*/cpulist \\
  node/node*/distance >/out/facts
grep -H . /sys/fs/cgroup/cgroup.controllers /proc/version /proc/1/comm >>/out/facts
"""


def collect(lab_dir: Path, timeout_s: float = 60) -> dict[str, str]:
    """Boot a guest for nothing but its facts; see parse. Raises VMError when it does not boot."""
    with tempfile.TemporaryDirectory(prefix="koordnri-facts-") as temporary:
        job, out = Path(temporary, "job"), Path(temporary, "out")
        job.mkdir()
        (job / "run").write_text(SCRIPT)
        (job / "run").chmod(0o755)
        code = run_job(lab_dir, job, out, timeout_s, systemd=False)
        if code != 0:
            raise VMError(f"virtual machine: the facts job ended with {code}, expected 0")
        return parse(out)


def parse(out_dir: Path) -> dict[str, str]:
    """What SCRIPT left: file (below /sys/devices/system, or absolute) → content."""
    return dict(line.split(":", 1) for line in (out_dir / "facts").read_text().splitlines())
