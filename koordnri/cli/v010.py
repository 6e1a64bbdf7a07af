"""`koordnri v010`: a second plugin that starts programs for NRI v0.1."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from koordnri.cli.listening import address

if TYPE_CHECKING:
    from koordnri.observe.http import Pages
    from koordnri.v010.adapter import Adapter


@click.command(context_settings={"auto_envvar_prefix": "KOORDNRI"})
@click.option("--nri-socket", default="/var/run/nri/nri.sock", show_default=True, help="The runtime's NRI socket.")
@click.option("--plugin-index", default="00", show_default=True, help="Two digits: our place among the plugins.")
@click.option(
    "--conf",
    type=click.Path(path_type=Path),
    default=Path("/etc/nri/conf.json"),
    show_default=True,
    help="Which programs are called. Read at each event.",
)
@click.option(
    "--bin-dir",
    type=click.Path(path_type=Path),
    default=Path("/opt/nri/bin"),
    show_default=True,
    help="Where they are.",
)
@click.option(
    "--listen", default="off", show_default=True, callback=address, help='Where to serve /metrics, HOST:PORT or "off".'
)
@click.option("--log-format", type=click.Choice(["json", "console"]), default="json", show_default=True)
def v010(
    nri_socket: str,
    plugin_index: str,
    conf: Path,
    bin_dir: Path,
    listen: tuple[str, int] | None,
    log_format: str,
) -> None:
    """Start programs for NRI v0.1 when pods and containers start and end, until SIGTERM.

    containerd up to 1.6 started them itself. They are called in the order of --conf with "create", "update" or "delete". Together they may
    take half of the runtime's request timeout, and are then killed. One that fails at "create" keeps the pod or container from starting;
    other failures are logged.
    """
    from koordnri.observe.http import Server
    from koordnri.observe.log import LineWriter, make_logger
    from koordnri.session.side_plugin import SidePlugin
    from koordnri.v010.adapter import SUBSCRIBED, Adapter

    writer = LineWriter(2)
    log = make_logger(writer, log_format)
    adapter = Adapter(conf, bin_dir, log)
    try:
        server = None if listen is None else Server(*listen, _pages(adapter))
    except OSError as error:
        raise click.ClickException(f"--listen: {error.strerror or error}") from None
    plugin = SidePlugin("koordnri-v010", plugin_index, SUBSCRIBED, adapter.on_event, log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: plugin.stop())
    if server is not None:
        log.info("listening", port=server.port)
    plugin.run(nri_socket)
    if server is not None:
        server.close()
    writer.close()


def _pages(adapter: Adapter) -> Pages:
    """What --listen serves."""
    from prometheus_client import CollectorRegistry, generate_latest

    from koordnri.observe.http import HTTPAnswer, text_answer

    registry = CollectorRegistry()
    registry.register(adapter)
    kind = "text/plain; version=0.0.4; charset=utf-8"
    return {
        "/healthz": {"GET": lambda _: text_answer("ok\n")},
        "/metrics": {"GET": lambda _: HTTPAnswer(200, generate_latest(registry), kind)},
    }
