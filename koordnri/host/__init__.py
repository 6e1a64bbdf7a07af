"""The only room that reads (and, later, writes) /sys, /proc, cgroupfs and resctrl. The root directory is injectable."""

from pathlib import Path

from koordnri.model import NodeState


def read_node(root: Path, name: str) -> NodeState:
    return NodeState(name=name, cgroup_version=1)


def refresh(state: NodeState, root: Path, full: bool) -> NodeState:
    return state
