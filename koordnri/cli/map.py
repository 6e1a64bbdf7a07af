"""`koordnri map`: who has which CPUs of this node, or would have them on a described one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from koordnri.answers.map import drawn
from koordnri.cli.control import question
from koordnri.cli.explanation import create_pods
from koordnri.cli.inputs import load_inputs, say_of_creation
from koordnri.cli.options import policy_option, state_dir_option
from koordnri.cpus.allocator import Allocator


@click.command()
@state_dir_option
@click.option("--node", "node_path", metavar="FILE", help="Draw this described node, not the running daemon's.")
@click.option("-f", "--filename", "pods_path", metavar="FILE", help="With --node: manifests of the pods on it.")
@policy_option
@click.option("-o", "--output", type=click.Choice(["text", "svg", "json"]), default="text", show_default=True)
def map(state_dir: Path, node_path: str | None, pods_path: str | None, policy_path: str | None, output: str) -> None:
    """Show the node's sockets, NUMA nodes, L3 caches, cores and CPUs, and who has which CPUs: a letter per owner of exclusive CPUs.

    Asks the running daemon of this node. With --node, it draws the described node: with the CPUs that the pods of -f would get, created
    in the order of the file.

    Exits with 2 when the daemon cannot be asked or a file cannot be used.
    """
    if node_path is None:
        if pods_path is not None or policy_path is not None:
            raise click.UsageError("-f and --policy belong to a described node: expected --node, too")
        shape = question(state_dir, "map")
    else:
        shape = _described(node_path, pods_path, policy_path)
    if output == "json":
        print(json.dumps(shape, indent=2, ensure_ascii=False))
    elif output == "svg":
        from koordnri.cli.map_svg import picture as svg

        print(svg(shape), end="")
    else:
        from koordnri.cli.decision_table import console  # rich is slow to import, and only text needs it
        from koordnri.cli.map_text import picture

        out = console()
        out.print(picture(shape, out.width))


def _described(node_path: str, pods_path: str | None, policy_path: str | None) -> Mapping[str, Any]:
    inputs = load_inputs(pods_path, policy_path, node_path)
    allocator = Allocator()
    pods, creation = create_pods(inputs.pods, inputs.snapshot, allocator)
    say_of_creation(creation, inputs.snapshot, node_path)
    policy, node = creation.snapshot
    # What `creation` lists includes init containers, which have ended by now.
    node = allocator.applied(node, policy.cpuset)
    return drawn(node, [pod for pod, _ in pods], allocator.held)
