"""`koordnri doctor`: what on this node keeps koordnri from working."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from koordnri.cli.control import SOCKET_NAME, ControlError, question
from koordnri.cli.options import state_dir_option

if TYPE_CHECKING:
    from koordnri.doctor.codes import Finding
    from koordnri.doctor.facts import DaemonFacts, Facts

T = TypeVar("T")

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


def diagnose_options(command: T) -> T:
    """--host-root, --nri-socket and --plugin-name, as of `koordnri run`."""
    options = (
        click.option(
            "--host-root",
            type=click.Path(path_type=Path),
            default=Path("/"),
            show_default=True,
            envvar="KOORDNRI_HOST_ROOT",
            help="where the host's /sys, /proc, /etc and /var are",
        ),
        click.option(
            "--nri-socket",
            default="/var/run/nri/nri.sock",
            show_default=True,
            envvar="KOORDNRI_NRI_SOCKET",
            help="where the daemon looks for the runtime's NRI socket",
        ),
        click.option(
            "--plugin-name",
            default="koordnri",
            show_default=True,
            envvar="KOORDNRI_PLUGIN_NAME",
            help="name that the daemon registers with",
        ),
    )
    for option in reversed(options):
        command = option(command)  # type: ignore[type-var]  # click types its decorators by what they decorate
    return command


@click.command()
@diagnose_options
@state_dir_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(host_root: Path, nri_socket: str, plugin_name: str, state_dir: Path, output: str) -> None:
    """Check this node, and print what keeps koordnri from working, with the cause and the fix.

    It changes nothing, and works without a running daemon too. The options are those of `koordnri run`. Facts that cannot be read from
    here, such as the runtime's configuration from inside the daemon's pod, are left out: on the host itself it sees most.

    Exits with 0 when nothing is wrong, with 1 after a warning, and with 2 after an error.
    """
    _, findings = look(host_root, nri_socket, plugin_name, state_dir)
    if output == "json":
        print(json.dumps({"findings": [finding.as_json() for finding in findings]}, indent=2, ensure_ascii=False))
    else:
        click.echo(text_of(findings))
    worst = {finding.severity.value for finding in findings}
    raise SystemExit(2 if "error" in worst else 1 if "warning" in worst else 0)


def look(host_root: Path, nri_socket: str, plugin_name: str, state_dir: Path) -> tuple[Facts, list[Finding]]:
    """The facts of this node, and what is wrong with them."""
    from koordnri.doctor.diagnose import diagnose
    from koordnri.doctor.reading import read_facts

    facts = read_facts(host_root, nri_socket, plugin_name, state_dir, ask_daemon(state_dir))
    return facts, diagnose(facts)


def ask_daemon(state_dir: Path) -> DaemonFacts:
    """What the running daemon reports about itself."""
    from koordnri.doctor.daemon_pages import daemon_facts
    from koordnri.doctor.facts import DaemonFacts

    try:
        if not (state_dir / SOCKET_NAME).exists():
            return DaemonFacts()
        return daemon_facts(question(state_dir, "status"), _metrics(state_dir))
    except (ControlError, PermissionError) as error:
        return DaemonFacts(problem=str(error))


def _metrics(state_dir: Path) -> str | None:
    """Its metrics as text; None when it is of another version, which does not give them."""
    try:
        return str(question(state_dir, "metrics"))
    except ControlError:
        return None


def text_of(findings: list[Finding]) -> str:
    """For people: each finding with its cause and fix, then the sum."""
    from koordnri.doctor.codes import CODES

    parts = []
    for finding in findings:
        severity = finding.severity.value
        head = click.style(f"{finding.code} {severity}", fg=_COLOURS[severity], bold=True)
        fix = finding.fix.replace("\n", "\n         ").replace("\n         \n", "\n\n")
        parts.append(
            f"{head}  {CODES[finding.code].title}\n"
            f"  object {finding.object}\n  cause  {finding.cause}\n  fix    {fix}\n  see    {finding.link}\n"
        )
    counts = Counter(finding.severity.value for finding in findings)
    total = ", ".join(
        f"{counts[name]} {name}{'s' if counts[name] > 1 and name != 'info' else ''}"
        for name in _COLOURS
        if counts[name]
    )
    return "\n".join([*parts, total or "nothing found"])
