"""The running daemon's node, policy and exclusive CPUs, in place of files."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from koordnri.cli.control import question
from koordnri.cli.inputs import LiveInputs
from koordnri.cli.node_file import load_node
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.holding import Holding
from koordnri.model import NodeState
from koordnri.model.allocated import Allocated
from koordnri.policy import PolicyDocument, load_data


def ask_daemon(state_dir: Path) -> LiveInputs:
    """Asks the daemon with this state directory. The functions raise ControlError when it cannot be asked."""
    return LiveInputs(lambda _: _policy(state_dir), lambda _: _node(state_dir))


def held_beside(state_dir: Path, pods: Collection[tuple[str, str]]) -> Allocator:
    """The exclusive CPUs of the running pods, without those of pods with these namespaces and names. Raises ControlError."""
    held: dict[str, dict[str, Holding]] = {}
    for one in question(state_dir, "holdings"):
        if (one["namespace"], one["pod"]) not in pods:
            its = Allocated.parse(one["allocated"])
            held.setdefault(one["uid"], {})[one["container"]] = Holding(its.cpus, its.exclusive, one["lse"])
    allocator = Allocator()
    allocator.restore(held)
    return allocator


def _policy(state_dir: Path) -> PolicyDocument | None:
    """The policy in force; None for the defaults. Raises DocumentError for that of a newer version."""
    answer = question(state_dir, "policy-document")
    return None if answer["data"] is None else load_data(answer["data"], answer["source"])


def _node(state_dir: Path) -> NodeState:
    return load_node(json.dumps(question(state_dir, "node")))
