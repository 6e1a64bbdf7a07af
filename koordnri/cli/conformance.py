"""`koordnri conformance`: whether an NRI plugin, in any language, does what a runtime expects."""

from __future__ import annotations

from pathlib import Path

import click

PASSED, FAILED = 0, 1
"""Exit codes. A command that cannot be started ends with 2."""


class _CannotStart(click.ClickException):
    exit_code = 2


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--nri-version",
    "versions",
    multiple=True,
    metavar="VERSION",
    help="NRI version to imitate; repeatable.  [default: 0.6.1, 0.8.0, 0.11.0 and the newest known]",
)
@click.option("--check", "codes", multiple=True, metavar="CODE", help="Run this check only; repeatable.")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), help="Also write a JUnit report to this file."
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    help="Seconds to wait for anything that the plugin should do.",
)
@click.option("--list", "lists", is_flag=True, help="Print the checks and end.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def conformance(
    versions: tuple[str, ...],
    codes: tuple[str, ...],
    junit: Path | None,
    patience_s: float,
    lists: bool,
    command: tuple[str, ...],
) -> None:
    """Start an NRI plugin again and again, and check that it does what a runtime expects of it.

    In COMMAND, {socket} becomes the path of the runtime's socket, and {dir} a directory of this start's own. Without {socket} the plugin is
    launched as runtimes launch those in /opt/nri/plugins: with a connection whose file descriptor is in NRI_PLUGIN_SOCKET.

    Exits with 0 when all checks passed, with 1 when one failed, and with 2 when COMMAND cannot be started.

    \b
    koordnri conformance -- ./my-plugin -idx 10 -socket-path {socket}
    """
    from koordnri.conformance.checks import CHECKS
    from koordnri.conformance.run import outcomes
    from koordnri.conformance.shapes import junit as as_junit
    from koordnri.conformance.shapes import line, summary
    from koordnri.wire.versions import NEWEST, Version, parse_version

    if lists:
        for check in CHECKS:
            print(f"{check.code}  it {check.title}")
        return
    if not command:
        raise click.UsageError(
            "expected a COMMAND after --, such as: koordnri conformance -- ./my-plugin -socket-path {socket}"
        )
    wanted = [parse_version(text) for text in versions] or [
        Version(0, 6, 1),
        Version(0, 8, 0),
        Version(0, 11, 0),
        NEWEST,
    ]
    known = [version for version in wanted if version is not None and Version(0, 6, 0) <= version <= NEWEST]
    if len(known) < len(wanted):
        raise click.BadParameter(f"expected versions from 0.6.0 to {NEWEST}, got {', '.join(versions)}")
    checks = [check for check in CHECKS if not codes or check.code in codes]
    if unknown := set(codes) - {check.code for check in checks}:
        raise click.BadParameter(f"unknown check {', '.join(sorted(unknown))}; --list prints all")
    found = []
    try:
        for outcome in outcomes(command, checks, known, patience_s):
            found.append(outcome)
            print(line(outcome), flush=True)
    except OSError as error:
        raise _CannotStart(f"{command[0]} cannot be started: {error.strerror or error}") from None
    print(summary(found))
    if junit is not None:
        junit.write_text(as_junit(found), encoding="utf-8")
    raise SystemExit(FAILED if any(outcome.verdict == "failed" for outcome in found) else PASSED)
