"""The test laboratory's virtual machine: cgroup v2, systemd, 2 NUMA nodes. tools/lab_setup.py calls setup().

    python tools/lab_vm.py setup           make it (seconds to a minute), or return at once when it is there
    python tools/lab_vm.py facts           boot it and print its CPU topology, NUMA nodes and cgroup controllers
    python tools/lab_vm.py run JOB OUT     run the program `run` of the directory JOB in it; its /out comes to OUT
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from vm.build import setup
from vm.machine import VMError, run_job

__all__ = ["VMError", "facts", "run_job", "setup"]

LAB_DIR = Path(os.environ.get("KOORDNRI_LAB_DIR") or Path(__file__).resolve().parent.parent / ".cache" / "lab").resolve()

FACTS_SCRIPT = """#!/bin/sh
# File name, colon, content: one line for each.
cd /sys/devices/system
grep -H . cpu/online cpu/cpu[0-9]*/topology/*_id cpu/cpu[0-9]*/topology/*_list cpu/cpu[0-9]*/cache/index*/id \\
  cpu/cpu[0-9]*/cache/index*/level cpu/cpu[0-9]*/cache/index*/shared_cpu_list node/online node/node*/cpulist \\
  node/node*/distance >/out/facts
grep -H . /sys/fs/cgroup/cgroup.controllers /sys/fs/cgroup/cgroup.subtree_control /proc/version >>/out/facts
cat /proc/1/comm >/out/init
"""


def facts(lab_dir: Path, timeout_s: float = 60) -> dict[str, str]:
    """What the guest shows of its topology and cgroups: file (below /sys/devices/system, or absolute) → content.

    Raises VMError when the machine does not boot.
    """
    with tempfile.TemporaryDirectory(prefix="koordnri-facts-") as temporary:
        job, out = Path(temporary, "job"), Path(temporary, "out")
        job.mkdir()
        (job / "run").write_text(FACTS_SCRIPT)
        (job / "run").chmod(0o755)
        code = run_job(lab_dir, job, out, timeout_s, systemd=False)
        if code != 0:
            raise VMError(f"virtual machine: the facts job ended with {code}, expected 0")
        lines = (out / "facts").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="The test laboratory's virtual machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup")
    commands.add_parser("facts")
    run = commands.add_parser("run")
    run.add_argument("job", type=Path, help="directory with an executable `run`; it is at /job inside")
    run.add_argument("out", type=Path, help="directory for what the job leaves in /out, and console.log")
    run.add_argument("--timeout", type=float, default=120, metavar="SECONDS")
    run.add_argument("--no-systemd", action="store_true", help="the job's runner is init; boots in half the time")
    args = parser.parse_args()
    setup(LAB_DIR)
    if args.command == "facts":
        for name, value in facts(LAB_DIR).items():
            print(f"{name}: {value}")
    if args.command == "run":
        return run_job(LAB_DIR, args.job, args.out, args.timeout, systemd=not args.no_systemd)
    return 0


if __name__ == "__main__":
    sys.exit(main())
