"""The files of `explain` and `simulate`: all read and checked before anything is decided, all mistakes told at once."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import click

from koordnri.chain import Snapshot
from koordnri.cli.node_file import read_node
from koordnri.cli.pods_file import read_pods
from koordnri.cpus.creation import Creation
from koordnri.kubelet import SimulatedPod, pod_messages
from koordnri.model import NodeState
from koordnri.policy import DocumentError, PolicyDocument, load_data, read_policy, resolve
from koordnri.policy.document import SHAPES
from koordnri.policy.text import MAX_CHARACTERS
from koordnri.reconcile.comparison import notes_of

T = TypeVar("T")

BAD_INPUT = 2
"""Exit code for a file or an option that cannot be used."""


class Inputs(NamedTuple):
    """What the files say."""

    pods: list[SimulatedPod]
    """without those that have ended, which hold nothing"""
    single: bool
    """whether the file has one pod only, which commands then print by itself"""
    document: PolicyDocument | None
    node: NodeState

    @property
    def snapshot(self) -> Snapshot:
        """The policy as it is for this node, and the node."""
        return Snapshot.of(resolve(self.document, self.node.name, self.node.labels), self.node)


def pods_option(command: T) -> T:
    """-f."""
    return click.option(
        "-f",
        "--filename",
        "pods_path",
        required=True,
        metavar="FILE",
        help='Manifests of pods or workloads; "-" is standard input.',
    )(command)  # type: ignore[type-var]  # click types its decorators by what they decorate


def policy_option(command: T) -> T:
    """--policy."""
    return click.option(
        "--policy",
        "policy_path",
        metavar="FILE",
        help="A ConfigMap, just its data, or a directory with a file per key. Default: koordnri's defaults.",
    )(command)  # type: ignore[type-var]  # as above


def node_option(command: T) -> T:
    """--node."""
    return click.option(
        "--node",
        "node_path",
        metavar="FILE",
        help="A description of the node. Default: a node of which nothing is known, with cgroup v2.",
    )(command)  # type: ignore[type-var]  # as above


def load_inputs(pods_path: str, policy_path: str | None, node_path: str | None) -> Inputs:
    """Read the files. Mistakes, warnings and notes go to standard error; with a mistake, the process ends with code 2."""
    bad: list[str] = []
    document = loaded(read_policy, policy_path, bad)
    node = loaded(read_node, node_path, bad) or NodeState()
    pods = loaded(read_pods, pods_path, bad)
    if bad or pods is None:
        raise SystemExit(BAD_INPUT)
    for warning in warnings_of(document):
        say(f"{policy_path}: {warning}")
    here = [not place.ended for place in pods.places]
    there = [pod_messages(manifest, node) for manifest in itertools.compress(pods.pods, here)]
    inputs = Inputs(there, here == [True], document, node)
    say_of_node(node, node_path)
    say_of_policy(inputs.snapshot, node, policy_path)
    for note in pods.notes:
        say(f"{pods_path}: {note}")
    if passed := here.count(False):
        say(f"{pods_path}: {passed} of {len(here)} pods have ended: passed over")
    return inputs


def warnings_of(document: PolicyDocument | None) -> list[str]:
    """What costs nothing in a policy, and may not be meant."""
    if document is None:
        return []
    warnings = list(map(str, document.warnings))
    if document.revision == load_data({}, "").revision:
        # Good for the daemon, and what the wrong file or directory looks like.
        warnings.append(f"it says nothing under {', '.join(SHAPES)}, so the defaults would hold")
    return warnings


def policy_on_stdin() -> bytes:
    """Not to its end, if that is too far: the reader refuses what is longer than a policy may be."""
    return sys.stdin.buffer.read(4 * MAX_CHARACTERS + 4)


def say_of_node(node: NodeState, path: str | None) -> None:
    """What is wrong with a node by its own description."""
    for problem in node.problems:
        say(f"{path}: {problem}")


def say_of_policy(snapshot: Snapshot, node: NodeState, path: str | None) -> None:
    """What a policy comes to on this node, where people may not expect it. `node`: without the policy's doing."""
    for note in notes_of(snapshot, node):
        say(f"{path}: {note}")


def say_of_creation(creation: Creation, snapshot: Snapshot, path: str | None) -> None:
    """What exclusive CPUs come to on this node, where people may not expect it. `snapshot`: without them."""
    for problem in creation.snapshot.node.problems:
        if problem not in snapshot.node.problems:
            say(f"{path}: {problem}")


def loaded(load: Callable[[str], T], path: str | None, bad: list[str]) -> T | None:
    """What is in the file. A file that cannot be used is told with all its mistakes, and added to `bad`."""
    if path is None:
        return None
    try:
        return load(path)
    except DocumentError as error:
        bad.append(path)
        say(f"{path} cannot be used:")
        for mistake in error.mistakes:
            say(str(mistake))
        return None


def say(line: str) -> None:
    """To standard error."""
    print(line, file=sys.stderr)
