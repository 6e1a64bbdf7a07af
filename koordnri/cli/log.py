"""`koordnri log`: everything that the runtime sends its plugins."""

from __future__ import annotations

import json
from collections.abc import Iterable

import click

from koordnri.cli.options import nri_socket_option
from koordnri.session.identity import Identity, IdentityError
from koordnri.wire.events import LOOKED_AT, METHOD_OF_EVENT, NRIEvent

NAME = "koordnri-log"
_EVENT_OF = {method.lower(): event for event, method in METHOD_OF_EVENT.items()}


@click.command()
@nri_socket_option
@click.option(
    "--index",
    default="99",
    show_default=True,
    metavar="NN",
    help="Its place among the plugins; 99 sees what all others did.",
)
@click.option(
    "--events",
    metavar="NAMES",
    help="Only these, such as CreateContainer,StopContainer, or `pod`, `container`. Default: all but validation.",
)
@click.option(
    "--synchronize/--no-synchronize",
    default=True,
    help="Whether to print what runs at the beginning.",
    show_default=True,
)
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def log(nri_socket: str, index: str, events: str | None, synchronize: bool, output: str) -> None:
    """Print each event of the runtime as it comes: a second plugin that answers everything empty, and changes nothing. Ctrl-C ends it.

    json has one line for each event. Environment variables of containers are printed as they are, passwords too.

    Exits with 2 when the runtime cannot be reached, or closes the connection.
    """
    from koordnri.cli.tap.changes import plain  # protobuf's JSON is slow to import
    from koordnri.cli.tap.tap import Seen, Tap
    from koordnri.cli.tap.taps import seen_by

    def show(seen: Seen) -> None:
        content = plain(seen.message)
        if output == "json":
            print(json.dumps({"event": seen.method, **content}, ensure_ascii=False), flush=True)
            return
        import yaml

        body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        print(f"--- # {seen.method}\n{body}", end="", flush=True)

    wanted = LOOKED_AT if events is None else tuple(_named(events))
    try:
        for seen in seen_by([Tap(nri_socket, Identity(NAME, index), wanted)]):
            if synchronize or seen.method != "Synchronize":
                show(seen)
    except IdentityError as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        return


def _named(text: str) -> Iterable[NRIEvent]:
    """The events of a list of names. Raises UsageError."""
    for word in text.split(","):
        name = word.strip().lower()
        if name in ("pod", "container"):
            yield from (event for event in LOOKED_AT if (name == "pod") == ("Pod" in METHOD_OF_EVENT[event]))
        elif name in _EVENT_OF:
            yield _EVENT_OF[name]
        else:
            known = ", ".join(("pod", "container", *METHOD_OF_EVENT.values()))
            raise click.UsageError(f"--events: expected {known}, got {word.strip()[:60]!r}")
