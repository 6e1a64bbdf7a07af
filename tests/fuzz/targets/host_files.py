"""Any files below /sys and /proc: a state of the node, with a short problem for what cannot be used; never an error."""

from __future__ import annotations

from koordnri.host import read_node, refresh
from tests.fuzz.trees import tree


def check(data: bytes) -> None:
    """The files of a host, see `tree`."""
    with tree(data) as root:
        state = read_node(root, "node")
        assert refresh(state, root, full=False) == state
        assert refresh(state, root, full=True) is state
    for problem in state.problems:
        assert len(problem) < 600, problem
