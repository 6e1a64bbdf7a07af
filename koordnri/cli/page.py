"""`koordnri page`: the page of a node from a report, so that who helps sees what the node's administrator saw."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from koordnri.cli.inputs import BAD_INPUT
from koordnri.cli.listening import address

_ENDS = {signal.SIGTERM, signal.SIGINT}


class PageError(click.ClickException):
    """The report cannot be read, or the port is taken."""

    exit_code = BAD_INPUT


@click.command()
@click.argument("report", type=click.Path(path_type=Path), metavar="REPORT.tar.gz")
@click.option(
    "--listen",
    default="127.0.0.1:9317",
    show_default=True,
    callback=address,
    metavar="HOST:PORT",
    help="Where to serve the page; port 0 takes a free one.",
)
def page(report: Path, listen: tuple[str, int] | None) -> None:
    """Serve the page of the node of a report, until Ctrl-C: open the printed address in a browser.

    The page is the one that `koordnri run --page` serves, as the node was when `koordnri report` wrote the file.

    Exits with 2 when the file is no report, or the port is taken.
    """
    from koordnri.cli.report_answers import NoReport, ReportFile
    from koordnri.page.server import PageServer

    host, port = listen or ("127.0.0.1", 0)
    try:
        found = ReportFile(report)
        server = PageServer(host, port, found.questions(), lambda: 0)
    except NoReport as error:
        raise PageError(str(error)) from None
    except OSError as error:
        where = f"{report}: " if error.filename is not None else f"--listen {host}:{port}: "
        raise PageError(f"{where}{error.strerror}") from None
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)  # so that they wait for `sigwait`
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{server.port}/", flush=True)
    signal.sigwait(_ENDS)
    server.close()
