"""`koordnri differ`: what each plugin changes of a container."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from koordnri.cli.options import nri_socket_option
from koordnri.session.identity import Identity, IdentityError

if TYPE_CHECKING:  # imported when the command runs
    from koordnri.cli.tap.changes import Differences

NAME = "koordnri-differ"


@click.command()
@nri_socket_option
@click.option(
    "--indices",
    default="00,99",
    show_default=True,
    metavar="NN,NN,…",
    help="Where it looks, among the plugins: at least two.",
)
@click.option("--all", "everything", is_flag=True, help="Also events that nobody changed.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def differ(nri_socket: str, indices: str, everything: bool, output: str) -> None:
    """Print what the plugins between two indices change of each pod and container. Ctrl-C ends it.

    It registers once for each index, answers everything empty, and compares what the runtime sends there: with 00,50,99 first what
    plugins 00 to 50 change, then what 50 to 99 do. Plugins with the same index are in the order of their names.

    json has one line for each event. Environment variables of containers are printed as they are, passwords too.

    Exits with 2 when the runtime cannot be reached, or closes a connection.
    """
    from koordnri.cli.tap.changes import Comparison  # protobuf's JSON is slow to import
    from koordnri.cli.tap.tap import Tap
    from koordnri.cli.tap.taps import seen_by

    places = sorted({place.strip() for place in indices.split(",")})
    if len(places) < 2:
        raise click.UsageError(f"--indices: expected at least two different ones, got {indices!r:.60}")
    try:
        comparison = Comparison(places)
        for seen in seen_by([Tap(nri_socket, Identity(f"{NAME}-{place}", place)) for place in places]):
            found = comparison.see(seen)
            if found is not None and (found.changes or everything):
                print("\n".join(_shown(found, output)), flush=True)
    except IdentityError as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        return


def _shown(found: Differences, output: str) -> list[str]:
    if output == "json":
        return [
            json.dumps(
                {**found._asdict(), "changes": [change._asdict() for change in found.changes]}, ensure_ascii=False
            )
        ]
    of = f"{found.pod} {found.container}".rstrip()
    head = f"[{found.above} to {found.below}] {found.method} {of}"
    return [f"{head}: {line}" for line in (map(_line, found.changes) if found.changes else ("no changes",))]


def _line(change: Any) -> str:
    path, old, new = change
    if old is None:
        return f"+ {path}: {_text(new)}"
    return f"- {path}: {_text(old)}" if new is None else f"~ {path}: {_text(old)} -> {_text(new)}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
