"""`koordnri status`: the running daemon and its node on one screen, and as an exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from koordnri.cli.control import ControlError, question
from koordnri.cli.options import state_dir_option, timeout_option

FINE, ATTENTION, NOT_READY = 0, 1, 2
"""Exit codes. Who cannot ask the daemon also exits with 2."""
PAUSE_S = 0.5
"""between two questions while waiting"""


@click.command()
@click.option("--wait", is_flag=True, help="Wait until the daemon is ready.")
@timeout_option("The longest wait with --wait.")
@click.option("--brief", is_flag=True, help="One line.")
@state_dir_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(wait: bool, timeout_s: float, brief: bool, state_dir: Path, output: str) -> None:
    """Print how the running daemon and this node are: runtime, policy, CPUs, violations, problems.

    A violation is something that should not be though nothing failed outright: two owners of a CPU, an empty share pool, a value that
    somebody else overwrites again and again.

    Exits with 0 when all is well, with 1 when there are violations or warnings, and with 2 when the daemon is not ready or cannot be
    asked.
    """

    def ask() -> Any:
        return question(state_dir, "status")

    answer = until_ready(ask, timeout_s) if wait else ask()
    if output == "json":
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    elif brief:
        print(brief_line(answer))
    else:
        from koordnri.cli.status_table import print_status  # rich is slow to import, and only tables need it

        print_status(answer)
    raise SystemExit(exit_code(answer))


def until_ready(
    ask: Callable[[], Any],
    timeout_s: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Any:
    """Ask until the answer is "ready", or the time is over; returns the last answer. Raises ControlError if there was none."""
    end_s = monotonic() + timeout_s
    while True:
        try:
            answer = ask()
        except ControlError:
            if monotonic() >= end_s:
                raise
        else:
            if answer["ready"] or monotonic() >= end_s:
                return answer
        sleep(PAUSE_S)


def exit_code(answer: Any) -> int:
    """FINE, ATTENTION or NOT_READY."""
    if not answer["ready"]:
        return NOT_READY
    return ATTENTION if answer["violations"] or attention(answer) else FINE


def attention(answer: Any) -> list[str]:
    """All warnings: the daemon's, the policy's, and host applications that are left alone."""
    hosts = [one for one in answer["hostApplications"] if one["problem"]]
    return [
        *answer["warnings"],
        *(f"policy: {warning}" for warning in answer["policy"]["warnings"]),
        *(f"host application {one['name']} is left alone: {one['cgroup']}: {one['problem']}" for one in hosts),
    ]


def brief_line(answer: Any) -> str:
    """`n1: ready; containerd 2.1.4; policy 3f2a9c01d5e8; 120 containers; 0 violations; 1 warning`."""
    containers = sum(count["containers"] for count in answer["counts"].values())
    policy = answer["policy"]
    parts = [
        "ready" if answer["ready"] else f"NOT READY ({'; '.join(answer['problems'])})",
        runtime_text(answer),
        f"policy {policy['revision']}{' (a newer one is refused)' if policy['refused'] else ''}",
        counted(containers, "container"),
        counted(len(answer["violations"]), "violation"),
        counted(len(attention(answer)), "warning"),
    ]
    return f"{answer['node']}: {'; '.join(parts)}"


def runtime_text(answer: Any) -> str:
    """The runtime's name and version."""
    runtime = answer["runtime"]
    return f"{runtime['name']} {runtime['version']}" if runtime["name"] else "no runtime"


def counted(number: int, noun: str) -> str:
    """`1 container`, `2 containers`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
