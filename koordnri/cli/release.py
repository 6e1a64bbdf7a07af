"""`koordnri release`: give containers back to kubelet, as if koordnri had never been there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from koordnri.cli.control import ask
from koordnri.cli.options import state_dir_option

FAILED = 1
"""Exit code when a field could not be given back."""
_DONE = {"written", "same", "gone", "restart"}
"""Values of `status` that need no attention."""


@click.command()
@click.option("--pod", metavar="NAMESPACE/NAME", help="Only this pod.")
@click.option("--all", "everything", is_flag=True, help="Every pod of this node, also those that come later.")
@state_dir_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def release(pod: str | None, everything: bool, state_dir: Path, output: str) -> None:
    """Give a pod of this node, or all pods, back to kubelet, and print each field before and after.

    The running daemon does it, and leaves released pods alone until it restarts, whatever policies, resizes and (with --all) new
    containers ask for. To leave pods alone for good, use koordnri-config.namespacesLeftAlone in the policy.
    With --all the cgroups of the QoS classes are given back, too; with --pod they only lose the pod's part.
    Settings that only a creation can make (environment, mounts, devices) stay until the pod is restarted.

    Exits with 0 when every field is as kubelet asked, with 1 when one could not be given back, and with 2 when the daemon cannot be
    asked or does not know the pod.
    """
    if everything == (pod is not None):
        raise click.UsageError("expected either --pod NAMESPACE/NAME or --all")
    if pod is not None and (pod.count("/") != 1 or not all(pod.partition("/"))):
        raise click.BadParameter(f'expected NAMESPACE/NAME such as shop/web-0, got "{pod}"', param_hint="--pod")
    answer = ask(state_dir, "/v1/release", {"all": True} if pod is None else {"pod": pod})
    released = answer["released"]
    if output == "json":
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        from koordnri.cli.difference_table import print_released  # rich is slow to import, and only tables need it

        print_released(released)
        what = "all pods of this node, and those that come," if pod is None else pod
        had = "nothing had to be changed; " if not released else ""
        print(f"{had}koordnri leaves {what} alone until the daemon restarts")
    failed = [r for r in released if r["status"] not in _DONE]
    if failed:
        print(f"{len(failed)} of {len(released)} fields could not be brought back", file=sys.stderr)
        raise SystemExit(FAILED)
