"""`koordnri node`: this node as a `--node` file."""

from __future__ import annotations

import json
from pathlib import Path

import click
import yaml

from koordnri.cli.control import question
from koordnri.cli.options import state_dir_option


@click.command()
@state_dir_option
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def node(state_dir: Path, output: str) -> None:
    """Print this node, as the running daemon sees it, in the form of a --node file.

    With the file, `explain`, `simulate` and `diff` decide elsewhere what the daemon decides here.

    Exits with 2 when the daemon cannot be asked.
    """
    shape = question(state_dir, "node")
    if output == "json":
        print(json.dumps(shape, indent=2, ensure_ascii=False))
    else:
        print(yaml.safe_dump(shape, sort_keys=False, allow_unicode=True, width=120), end="")
