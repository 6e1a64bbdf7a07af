"""The files of `explain` and `simulate`. All are read and checked before anything is decided; all mistakes are reported at once."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple, TypeVar

from koordnri.chain import Snapshot
from koordnri.cli.node_file import read_node
from koordnri.cli.pods_file import read_pods
from koordnri.cpus.creation import Creation
from koordnri.kubelet import PodManifest, SimulatedPod, pod_messages
from koordnri.model import NodeState
from koordnri.policy import DocumentError, PolicyDocument, load_data, read_policy, resolve
from koordnri.policy.document import SHAPES
from koordnri.policy.text import MAX_CHARACTERS
from koordnri.reconcile.compare.compare import notes_of

T = TypeVar("T")

BAD_INPUT = 2
"""Exit code for a file or an option that cannot be used."""


LIVE_POLICY, LIVE_NODE = "the daemon's policy", "the daemon's node"
"""What messages call them."""


class LiveInputs(NamedTuple):
    """A running daemon, in place of files: functions that get the name in messages, and raise DocumentError as readers of files do."""

    policy: Callable[[str], PolicyDocument | None]
    node: Callable[[str], NodeState]


class Inputs(NamedTuple):
    """Content of the files."""

    manifests: list[PodManifest]
    """without ended pods, which hold nothing"""
    single: bool
    """whether the file has only one pod; then JSON output is one object, not a list"""
    document: PolicyDocument | None
    node: NodeState

    @property
    def pods(self) -> Iterator[SimulatedPod]:
        """The messages of each pod, made one by one: those of a full node take more memory than all else."""
        return (pod_messages(manifest, self.node) for manifest in self.manifests)

    @property
    def snapshot(self) -> Snapshot:
        """The policy of this node, and the node."""
        return Snapshot.of(resolve(self.document, self.node.name, self.node.labels), self.node)


def load_inputs(
    pods_path: str | None, policy_path: str | None, node_path: str | None, live: LiveInputs | None = None
) -> Inputs:
    """Read the files; None: there is none. Mistakes and notes go to standard error; a mistake ends the process with code 2.

    live   a running daemon, which is asked for the policy and the node if no file describes them; it may raise
    """
    bad: list[str] = []
    document = loaded(read_policy, policy_path, bad)
    node = loaded(read_node, node_path, bad)
    if live is not None and policy_path is None:
        policy_path = LIVE_POLICY
        document = loaded(live.policy, policy_path, bad)
    if live is not None and node_path is None:
        node_path = LIVE_NODE
        node = loaded(live.node, node_path, bad)
    node = node or NodeState()
    pods = loaded(read_pods, pods_path, bad)
    if bad:
        raise SystemExit(BAD_INPUT)
    for warning in warnings_of(document):
        say(f"{policy_path}: {warning}")
    here = [] if pods is None else [not place.ended for place in pods.places]
    there = [] if pods is None else list(itertools.compress(pods.pods, here))
    if pods is not None and pods.namespaces:
        node = replace(node, namespace_labels=pods.namespaces)
    inputs = Inputs(there, here == [True], document, node)
    say_of_node(node, node_path)
    say_of_policy(inputs.snapshot, node, policy_path)
    for note in () if pods is None else pods.notes:
        say(f"{pods_path}: {note}")
    if passed := here.count(False):
        say(f"{pods_path}: {passed} of {len(here)} pods have ended: passed over")
    return inputs


def warnings_of(document: PolicyDocument | None) -> list[str]:
    """Parts of a policy that cost nothing and may not be meant."""
    if document is None:
        return []
    warnings = list(map(str, document.warnings))
    if document.revision == load_data({}, "").revision:
        # The daemon accepts that, but it is also what a wrong file or directory looks like.
        warnings.append(f"it says nothing under {', '.join(SHAPES)}, so the defaults would hold")
    return warnings


def policy_on_stdin() -> bytes:
    """Standard input, but no more than a policy may have: the reader refuses longer ones."""
    return sys.stdin.buffer.read(4 * MAX_CHARACTERS + 4)


def say_of_node(node: NodeState, path: str | None) -> None:
    """Print the problems in a node's own description."""
    for problem in node.problems:
        say(f"{path}: {problem}")


def say_of_policy(snapshot: Snapshot, node: NodeState, path: str | None) -> None:
    """Print what a policy does on this node that people may not expect. `node`: without the policy's changes."""
    for note in notes_of(snapshot, node):
        say(f"{path}: {note}")


def say_of_creation(creation: Creation, snapshot: Snapshot, path: str | None) -> None:
    """Print what exclusive CPUs do on this node that people may not expect. `snapshot`: without them."""
    for problem in creation.snapshot.node.problems:
        if problem not in snapshot.node.problems:
            say(f"{path}: {problem}")


def loaded(load: Callable[[str], T], path: str | None, bad: list[str]) -> T | None:
    """The content of a file. If it cannot be used, all its mistakes are printed and its path is added to `bad`."""
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
    """Print a line to standard error."""
    print(line, file=sys.stderr)
