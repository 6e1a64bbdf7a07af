"""`koordnri top`: what QoS classes, pods and containers use of what they were given."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

from koordnri.cli.options import state_dir_option
from koordnri.cli.top_rows import SORT_KEYS, as_json, rows_of
from koordnri.cli.top_sample import UsageSample, take_sample

ONCE_S = 1.0
"""s between the two samples of --once, and before the first picture"""
REFRESH_S = 2.0


@click.command()
@state_dir_option
@click.option("--once", is_flag=True, help="Take two samples, one second apart, print once, and exit.")
@click.option("--sort", "key", type=click.Choice(list(SORT_KEYS)), default="cpu", show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="json needs --once.")
def top(state_dir: Path, once: bool, key: str, output: str) -> None:
    """Show what the node's QoS classes, pods and containers use, beside what they asked for and what they were given. Ctrl-C ends it.

    The daemon says which containers there are; this command reads their cgroups itself. Run it where the host's cgroups can be read: on
    the node, or in the daemon's container.

    \b
    cpu         CPU used, in thousandths of a CPU
    request     what the pod requests, batch-cpu included
    given       exclusive CPUs, else the quota; - for no limit
    throttled   ms per second that threads were held back by the quota
    waiting     ms per second that threads were ready to run and had no CPU;
                needs the host's PID namespace
    psi c/m/i   percent of the last 10 s in which a thread waited for CPU,
                memory or I/O; needs cgroup v2 and a kernel with PSI
    memory      the working set, as in kubectl top
    min, high   memory.min and memory.high
    read, write bytes per second

    A pod's row is its cgroup's, and a class's row the sum of its pods (of psi: the highest).

    Exits with 2 when the daemon cannot be asked.
    """
    if output == "json" and not once:
        raise click.UsageError("-o json prints once: expected --once, too")
    if not once and not sys.stdout.isatty():
        raise click.UsageError("standard output is no terminal: expected --once")
    before = take_sample(state_dir)
    time.sleep(ONCE_S)
    after = take_sample(state_dir)
    if output == "json":
        print(json.dumps(as_json(after, rows_of(before, after, key)), indent=2, ensure_ascii=False))
    elif once:
        _print(before, after, key)
    else:
        _follow(state_dir, before, after, key)


def _print(before: UsageSample, after: UsageSample, key: str) -> None:
    from koordnri.cli.decision_table import console  # rich is slow to import, and JSON does not need it
    from koordnri.cli.top_table import table

    out = console()
    out.print(table(after.node, rows_of(before, after, key), out.width))


def _follow(state_dir: Path, before: UsageSample, after: UsageSample, key: str) -> None:
    """Show sample after sample until the user interrupts."""
    from rich.live import Live  # as above

    from koordnri.cli.decision_table import console
    from koordnri.cli.top_table import table

    out = console()
    try:
        with Live(console=out, screen=True, auto_refresh=False) as live:
            while True:
                live.update(table(after.node, rows_of(before, after, key), out.width, out.height), refresh=True)
                time.sleep(REFRESH_S)
                before, after = after, take_sample(state_dir)
    except KeyboardInterrupt:
        return
