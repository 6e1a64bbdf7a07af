"""`koordnri demo`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click


@click.group()
def demo() -> None:
    """Show what settings are worth, live in this terminal."""


@demo.command()
@click.option(
    "--runtime-endpoint",
    type=click.Path(path_type=Path),
    default=Path("/run/containerd/containerd.sock"),
    show_default=True,
    help="CRI socket",
)
@click.option(
    "--nri-socket",
    type=click.Path(path_type=Path),
    default=Path("/var/run/nri/nri.sock"),
    show_default=True,
    help="the same runtime's NRI socket",
)
@click.option(
    "--image",
    default="registry.k8s.io/pause:3.10",
    show_default=True,
    help="of the pods, which the runtime must have. They run this machine's Python, so any will do",
)
def isolation(runtime_endpoint: Path, nri_socket: Path, image: str) -> None:
    """A service beside batch work: a key switches a setting, and p99 of the service follows.

    It runs two pods on a real runtime, and a daemon of its own that sets their values: on a node without kubelet and other pods, as root.
    At the end everything is removed. For figures to rely on: koordnri bench --part isolation.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("expected a terminal; for figures in a file: koordnri bench --part isolation -o json")
    from koordnri.cli.bench.figures import BenchError

    try:
        _run(runtime_endpoint, nri_socket, image)
    except BenchError as error:
        raise click.ClickException(str(error)) from error


def _run(runtime_endpoint: Path, nri_socket: Path, image: str) -> None:
    from rich.live import Live

    from koordnri.cli.bench.isolation.stage import stage
    from koordnri.cli.decision_table import console
    from koordnri.cli.demo.keys import listening
    from koordnri.cli.demo.moment import Moment
    from koordnri.cli.demo.screen import picture
    from koordnri.cli.demo.show import REQUEST_S, WINDOW_S, follow, running
    from koordnri.cli.demo.switches import ALL_ON, QUIT, policy_of

    with (
        stage("the demo", runtime_endpoint, nri_socket, image, policy_of(ALL_ON)) as on,
        running(on) as show,
        listening(sys.stdin.fileno()) as keys,
        Live(console=console(), auto_refresh=False, screen=False) as live,
    ):

        def draw(moments: Sequence[Moment], pending: str) -> None:
            live.update(picture(moments, show.on, pending, REQUEST_S * 1e3, WINDOW_S), refresh=True)

        draw([], "")
        follow(show, keys.pressed, draw, QUIT)
