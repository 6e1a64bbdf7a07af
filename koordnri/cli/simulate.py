"""`koordnri simulate`: the pods of a file through the real daemon; ends by itself."""

from __future__ import annotations

import json
from typing import Any

import click

from koordnri.cli.inputs import load_inputs
from koordnri.cli.options import node_option, pods_option, policy_option


@click.command()
@pods_option()
@policy_option
@node_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def simulate(pods_path: str, policy_path: str | None, node_path: str | None, output: str) -> None:
    """Run pods through the real daemon against an embedded container runtime, and print what each container got, and why.

    The pods live side by side: created, started, resized to what they have, stopped, removed. Values are read back from the
    runtime. Pods that have ended (Succeeded or Failed) hold nothing, and are passed over.

    Exits with 1 when a container could not be created or started, with 2 when a file cannot be used.
    """
    from koordnri.chain import ChainError
    from koordnri.cli.simulation import (
        SimulationError,
        simulate_pods,
    )  # imports the daemon and everything that it needs

    inputs = load_inputs(pods_path, policy_path, node_path)
    try:
        lives = simulate_pods(inputs, policy_path)
    except (ChainError, SimulationError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if output == "json":
        shapes: list[Any] = [life.as_json() for life in lives]
        print(json.dumps(shapes[0] if inputs.single else shapes, indent=2, ensure_ascii=False))
    else:
        from koordnri.cli.life_table import print_lives

        print_lives(lives, inputs.node)
    if any(life.failures for life in lives):
        raise SystemExit(1)
