"""`koordnri why`: the history of one field of a pod; what changed on the node."""

from __future__ import annotations

import json
from pathlib import Path

import click

from koordnri.cli.control import question
from koordnri.cli.options import state_dir_option


@click.command()
@click.argument("pod", metavar="[NAMESPACE/NAME]", required=False)
@click.argument("field", required=False)
@click.option("--container", metavar="NAME", help="Only this container.")
@state_dir_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def why(pod: str | None, field: str | None, container: str | None, state_dir: Path, output: str) -> None:
    """Print how a FIELD such as cpu.quota of a pod came to its value: each change with its time, cause, old and new value.

    Without a FIELD, print the pod's last changes; without a pod, the node's. A pod that has ended is found as long as its history is kept.

    Causes: creation, resize (kubelet asked), start (koordnri or the runtime started), policy, promotion (to exclusive CPUs), neighbour
    (another container's exclusive CPUs came or went), node, pod (the pod changed), drift (somebody else wrote the file; it was written
    again), check (a check found another value), release, refused (by the kernel; the value is not in effect).

    Exits with 2 when the daemon cannot be asked, or knows no such pod, field or container.
    """
    asked = {"pod": pod, "field": field, "container": container}
    answer = question(state_dir, "why", **{name: value for name, value in asked.items() if value})
    if output == "json":
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        from koordnri.cli.history_table import print_history  # rich is slow to import, and only tables need it

        print_history(answer)
