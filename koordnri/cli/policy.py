"""`koordnri policy`: checks policies before a cluster sees them, and prints their JSON Schema.

`check` uses the daemon's own reader, so both find the same mistakes.
"""

from __future__ import annotations

import json
import sys

import click

from koordnri.cli.inputs import policy_on_stdin, warnings_of
from koordnri.cli.node_file import read_node
from koordnri.cli.policy_schema import policy_schema
from koordnri.cli.text_file import STDIN
from koordnri.model import NodeState
from koordnri.policy import (
    DocumentError,
    Mistake,
    PolicyDocument,
    PolicyError,
    load_policy,
    read_policy,
    resolve,
    without_reserved,
)
from koordnri.policy.effects import without_effect_on
from koordnri.policy.errors import as_policy_error, shown

BAD_POLICY = 2
"""Exit code of `check` when a policy would be refused (with --strict: has warnings), or when the node's file cannot be used. It is
also click's own for a wrong command line."""


@click.group()
def policy() -> None:
    """Check policies, or print the JSON Schema of what they may say."""


@policy.command(short_help="Show whether the daemon would take a policy, and every mistake.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--node",
    "node_path",
    metavar="FILE",
    help="A description of a node, as of `koordnri explain`: also show which node strategies hold there.",
)
@click.option("--strict", is_flag=True, help="Take warnings for mistakes.")
def check(files: tuple[str, ...], node_path: str | None, strict: bool) -> None:
    """Check whether the daemon would accept each policy, and name every mistake by its path.

    FILE is a ConfigMap manifest or just its data, a directory with a file per key (a mounted ConfigMap), or "-" for standard
    input. Exits with 0 when all are good and with 2 otherwise.

    Warnings go to standard error and do not change the exit code, except with --strict. They name parts that are ignored or have no
    effect (yet), that koord-manager would ignore or refuse, and strategies hidden by an earlier one; with --node also parts without
    effect on that node, and whether several strategies match it (the first one applies). Notes name deviations from Koordinator.
    """
    node = None if node_path is None else _node(node_path)
    bad = 0
    for file in files:
        name = "standard input" if file == STDIN else click.format_filename(file)
        try:
            document = _read(file)
        except Exception as error:  # noqa: BLE001  # as in the daemon, a bug of ours refuses the document, too
            bad += 1
            print(f"{name}: bad, the daemon would refuse it")
            for mistake in as_policy_error(error).mistakes:
                print(_printable(f"{name}: {mistake}"))
            continue
        print(f"{name}: good, revision {document.revision}")
        warnings = warnings_of(document)
        if node is not None:
            resolved = resolve(document, node.name, node.labels)
            for key, strategy in resolved.strategies.items():
                print(_printable(f"{name}: {key}: on {node.name or 'the node'} holds the strategy {shown(strategy)}"))
            warnings += resolved.notes
            warnings += without_effect_on(resolved, node)
            warnings += without_reserved(resolved, node).problems[len(node.problems) :]
        for note in document.remarks:
            print(_printable(f"{name}: note: {note}"), file=sys.stderr)
        for warning in warnings:
            print(_printable(f"{name}: warning: {warning}"), file=sys.stderr)
        bad += bool(strict and warnings)
    if bad:
        raise SystemExit(BAD_POLICY)


def _node(path: str) -> NodeState:
    try:
        return read_node(path)
    except DocumentError as error:
        print(f"{click.format_filename(path)} cannot be used:", file=sys.stderr)
        for mistake in error.mistakes:
            print(_printable(str(mistake)), file=sys.stderr)
        raise SystemExit(BAD_POLICY) from None


def _read(file: str) -> PolicyDocument:
    if file == STDIN:
        try:
            text = policy_on_stdin()
        except OSError as error:
            raise PolicyError([Mistake("", f"cannot be read: {error.strerror}")]) from None
        return load_policy(text, "standard input")
    return read_policy(file)


def _printable(line: str) -> str:
    """File names are bytes, and messages quote them: replace what cannot be printed."""
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@policy.command(short_help="Print the JSON Schema of what policies may say.")
def schema() -> None:
    """Print the JSON Schema (Draft 2020-12) of a policy's data: names, ranges, defaults.

    For editors and for generators of policies. It is of the mapping below `data`, with each key's value as a mapping; rules
    between two values are not in it, `koordnri policy check` knows all.
    """
    print(json.dumps(policy_schema(), indent=2, ensure_ascii=False))
