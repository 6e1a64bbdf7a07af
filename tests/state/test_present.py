"""What holds now, where several threads want to change it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from koordnri.cpus.allocator import Allocator
from koordnri.model import NodeState
from koordnri.model.control import NO_CONTROL, Control, Wanted
from koordnri.state.present import Present


def present() -> Present:
    return Present(NodeState(name="n"), None, lambda: None, lambda node: node, Allocator(), CapturingLogger())


class Meanwhile(frozenset[str]):
    """A set of pods, in the middle of whose release another release begins."""

    def begin(self, other: threading.Thread) -> Meanwhile:
        self.other = other
        return self

    def __ror__(self, released: Any) -> Any:
        self.other.start()
        self.other.join(0.2)  # it ends here if nothing keeps it waiting
        return frozenset(released) | frozenset(self)


def test_two_releases_at_the_same_time_are_both_kept() -> None:
    now = present()
    other = threading.Thread(target=now.let_go, args=(frozenset({"second"}),))
    now.let_go(Meanwhile({"first"}).begin(other))
    other.join()
    assert now.snapshot.node.released == {"first", "second"}


def test_of_two_scans_at_the_same_time_the_later_one_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    now = present()
    now._root = Path("/")
    other = threading.Thread(target=now.scan, args=(True,))

    def refresh(state: NodeState, _root: Path, _full: bool) -> NodeState:
        if threading.current_thread() is other:
            return NodeState(name="newer")
        other.start()
        other.join(0.2)  # it ends here if nothing keeps it waiting
        return NodeState(name="older")

    monkeypatch.setattr("koordnri.state.present.refresh", refresh)
    assert now.scan(True)
    other.join()
    assert now.node.name == "newer"


def test_what_controllers_want_is_published_at_once_and_stays_in_later_snapshots() -> None:
    now, published = present(), []
    now.publish_to(published.append)
    wanted = Control(be_quota_us=Wanted(5, "x"))
    before, after = now.control(wanted)
    assert (before.control, after.control) == (NO_CONTROL, wanted)
    assert published[-1] is now.snapshot
    now.take()
    assert now.snapshot.node.control is wanted
    now.control(NO_CONTROL)
    now.take()
    assert now.snapshot.node == NodeState(name="n")
