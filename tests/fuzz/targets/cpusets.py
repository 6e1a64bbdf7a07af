"""Any text as a list of CPUs: a set whose own text means the same set, or a ValueError that quotes no more than a line of it."""

from __future__ import annotations

from koordnri.model.allocated import NOT_ALLOCATED, Allocated
from koordnri.model.cpuset import CPUSet


def check(data: bytes) -> None:
    """A list of CPUs, and the same text as a note of exclusive CPUs."""
    text = data.decode(errors="surrogateescape")
    note = Allocated.parse(text)
    assert note == NOT_ALLOCATED or Allocated.parse(str(note)) == note
    try:
        cpus = CPUSet.parse(text)
    except ValueError as error:
        assert len(str(error)) < 300
        return
    assert CPUSet.parse(str(cpus)) == cpus
