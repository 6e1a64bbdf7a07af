"""`koordnri diff`: what another policy would change of running containers, before it is applied."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from koordnri.chain import Chain, ChainError, Snapshot, load_hooks
from koordnri.cli.control import ControlError, ask
from koordnri.cli.explanation import create_pods
from koordnri.cli.inputs import (
    BAD_INPUT,
    loaded,
    policy_on_stdin,
    say,
    say_of_creation,
    say_of_node,
    say_of_policy,
    warnings_of,
)
from koordnri.cli.node_file import read_node
from koordnri.cli.options import node_option, state_dir_option
from koordnri.cli.pods_file import read_pods
from koordnri.cli.text_file import STDIN
from koordnri.cpus.allocator import Allocator
from koordnri.kubelet import PodManifest, pod_messages
from koordnri.model import NodeState
from koordnri.policy import DocumentError, PolicyDocument, load_policy, read_policy, resolve
from koordnri.policy.errors import Mistake
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.running import Running

DIFFERENT = 1
"""Exit code, as in kubectl diff."""
_FORMS = 'a ConfigMap, just its data, a directory with a file per key, or "-" for standard input'


class _Given(NamedTuple):
    """A policy: parsed, and in the form in which it is sent to the daemon."""

    document: PolicyDocument
    sent: str | dict[str, str]


@click.command()
@click.option("--policy", "policy_path", required=True, metavar="FILE", help=f"The new policy: {_FORMS}.")
@click.option(
    "--against",
    "against_path",
    metavar="FILE",
    help="The old policy, likewise. Default: with --live the one in force, else koordnri's defaults.",
)
@click.option(
    "-f",
    "--filename",
    "pods_paths",
    multiple=True,
    metavar="FILE",
    help='Manifests of the pods that run, such as `kubectl get pods -A -o yaml` prints; repeatable; "-" is standard input. Those that '
    "have ended, or are on another node than --node names, are passed over.",
)
@node_option
@click.option("--live", is_flag=True, help="Ask the daemon of this node about the containers that it has.")
@state_dir_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def diff(
    policy_path: str,
    against_path: str | None,
    pods_paths: tuple[str, ...],
    node_path: str | None,
    live: bool,
    state_dir: Path,
    output: str,
) -> None:
    """Show what a new policy would change of running containers: fields, old and new values, routes and reasons. Changes nothing.

    Route `write`: the cgroup file follows at once; with `+ record` the runtime's stored spec follows, too, when that is safe.
    Route `resctrl`: the container's threads change groups at once.
    Route `restart`: the value changes only when the container is created again.

    Running containers keep their exclusive CPUs. With -f, the pods count as created under the old policy in the order of the files.

    Exits with 0 when nothing would change, with 1 when something would, and with 2 when a file cannot be used (standard
    error has every mistake with its path) or the daemon cannot be asked.
    """
    if live == bool(pods_paths):
        raise click.UsageError("expected either -f with the pods that run, or --live to ask the daemon of this node")
    if live and node_path is not None:
        raise click.UsageError("--node describes a node for -f; with --live the daemon knows its own")
    if [policy_path, against_path, *pods_paths].count(STDIN) > 1:
        raise click.UsageError('only one of the files can be standard input, "-"')
    bad: list[str] = []
    new, old = loaded(_read, policy_path, bad), loaded(_read, against_path, bad)
    if live:
        if bad or new is None:
            raise SystemExit(BAD_INPUT)
        body = {"policy": new.sent} | ({} if old is None else {"against": old.sent})
        found = ask(state_dir, "/v1/diff", body)
    else:
        found = _compare_files(new, old, against_path, pods_paths, node_path, bad)
    for path, given in (policy_path, new), (against_path, old):
        for warning in () if given is None else warnings_of(given.document):
            say(f"{path}: {warning}")
    for note in found.get("notes", ()):  # an older daemon sends none
        say(f"{policy_path}: {note}")
    if output == "json":
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        from koordnri.cli.difference_table import print_differences  # rich is slow to import, and only tables need it

        print_differences(found)
    if found["differences"]:
        raise SystemExit(DIFFERENT)


def _compare_files(
    new: _Given | None,
    old: _Given | None,
    against_path: str | None,
    pods_paths: Sequence[str],
    node_path: str | None,
    bad: list[str],
) -> Any:
    node = loaded(read_node, node_path, bad) or NodeState()
    manifests, namespaces = _pods(pods_paths, node.name, bad)
    node = replace(node, namespace_labels=namespaces)
    if bad or new is None:
        raise SystemExit(BAD_INPUT)
    say_of_node(node, node_path)
    try:
        chain = Chain(load_hooks())
    except ChainError as error:
        raise ControlError(str(error)) from None
    old_policy = resolve(None if old is None else old.document, node.name, node.labels)
    new_policy = resolve(new.document, node.name, node.labels)
    before, after = Snapshot.of(old_policy, node), Snapshot.of(new_policy, node)
    if old is not None:
        say_of_policy(before, node, against_path)
    # The pods count as created under the old policy, in the order of the files.
    given = Allocator()
    pods, creation = create_pods((pod_messages(manifest, node) for manifest in manifests), before, given)
    say_of_creation(creation, before, node_path)
    return compare(chain, [Running(*pod) for pod in pods], before, after, given=given).as_json()


def _pods(paths: Sequence[str], node: str, bad: list[str]) -> tuple[list[PodManifest], dict[str, Mapping[str, str]]]:
    """The pods of all files that run on the node named `node` ("": on any), and the labels of namespaces. A pod that is in two files is a
    mistake, as it is within one.
    """
    manifests: list[PodManifest] = []
    namespaces: dict[str, Mapping[str, str]] = {}
    files: dict[tuple[str, str], str] = {}
    nodes: set[str] = set()
    for path in paths:
        pods = loaded(read_pods, path, bad)
        if pods is None:
            continue
        for note in pods.notes:
            say(f"{path}: {note}")
        namespaces.update(pods.namespaces)
        nodes |= {place.node for place in pods.places if not place.ended} - {""}
        here = [not place.ended and (not node or place.node in ("", node)) for place in pods.places]
        if passed := here.count(False):
            where = f"have ended, or are not on {node}" if node else "have ended"
            say(f"{path}: {passed} of {len(here)} pods {where}: passed over")
        for manifest in itertools.compress(pods.pods, here):
            name = (manifest.metadata.namespace, manifest.metadata.name)
            if name in files:
                bad.append(path)
                say(f"{path} cannot be used:\na second pod {'/'.join(name)}; the first is in {files[name]}")
            files.setdefault(name, path)
            manifests.append(manifest)
    if not node and len(nodes) > 1:
        say(
            f"the pods are on {len(nodes)} nodes, and compared as if they were on one, which counts for what they share (CPUs of their "
            "own, QoS classes): describe one of the nodes with its name by --node, or select its pods, as kubectl does by "
            "--field-selector spec.nodeName=NAME"
        )
    return manifests, namespaces


def _read(path: str) -> _Given:
    """Raises PolicyError."""
    if path == STDIN:
        content = policy_on_stdin()
        return _Given(load_policy(content, "standard input"), content.decode("utf-8-sig"))
    document = read_policy(path)
    try:
        if not os.path.isdir(path):
            return _Given(document, _text(Path(path)))
        # As koordnri.policy.source reads a mounted ConfigMap.
        items = [i for i in Path(path).iterdir() if not i.name.startswith(".") and i.is_file()]
        return _Given(document, {i.name: _text(i) for i in items})
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError([Mistake("", f"has changed while it was read: {error}")]) from None


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig")
