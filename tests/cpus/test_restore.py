"""The map of exclusive CPUs after koordnri was away."""

from __future__ import annotations

from koordnri.cpus import restore
from koordnri.model.allocated import Allocated
from tests.cpus.one_allocator import NODE, whole
from tests.support.pods import pod


def test_notes_of_others_making_are_not_believed():
    notes = [
        (pod("LSR", name="a"), 2, "0-1"),
        (pod("LSR", name="b"), 2, "1-2"),  # 1 is a's
        (pod("LS", name="c"), 1, "4"),
        (pod("LSR", name="d"), 1, "x"),
        (pod("LSR", name="e"), 1, ""),
        (pod("LSR", name="f"), 1, "5 Whatever"),
        (pod("LSR", name="g"), 1, "6 PCPULevel"),
        (pod("LSR", name="h"), 1, "7-8"),  # more than it wants
    ]
    found = [
        restore.FoundHolding(one, "main", whole(cpus), Allocated.parse(note), None, True) for one, cpus, note in notes
    ]
    held = restore.holdings(found, NODE)
    assert {key: {n: str(h.allocated) for n, h in of.items()} for key, of in held.items()} == {
        "uid-a": {"main": "0-1"},
        "uid-g": {"main": "6 PCPULevel"},
        "uid-h": {"main": "8"},
    }
