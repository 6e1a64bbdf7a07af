"""The test laboratory's virtual machine: cgroup v2, systemd, 2 NUMA nodes. tools/lab_setup.py calls setup().

python tools/lab_vm.py setup           make it (seconds to a minute), or return at once when it is there
python tools/lab_vm.py facts           boot it and print its CPU topology, NUMA nodes and cgroup controllers
python tools/lab_vm.py run JOB OUT     run the program `run` of the directory JOB in it; its /out comes to OUT
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from vm import facts
from vm.build import setup
from vm.machine import VMError, run_job

__all__ = ["VMError", "run_job", "setup"]

ROOT = Path(__file__).resolve().parent.parent
LAB_DIR = Path(os.environ.get("KOORDNRI_LAB_DIR") or ROOT / ".cache" / "lab").resolve()


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
        for name, value in facts.collect(LAB_DIR).items():
            print(f"{name}: {value}")
    if args.command == "run":
        return run_job(LAB_DIR, args.job, args.out, args.timeout, systemd=not args.no_systemd)
    return 0


if __name__ == "__main__":
    sys.exit(main())
