"""One container's exclusive CPUs."""

from __future__ import annotations

import pytest

from koordnri.cpus.holding import Holding
from koordnri.model import CPUSet
from koordnri.model.allocated import NOT_ALLOCATED, Allocated


def cpus(text: str) -> CPUSet:
    return CPUSet.parse(text)


def test_reserved_cpus_are_nobody_elses_and_not_in_the_note_yet() -> None:
    it = Holding(cpus("2-3"), "PCPULevel", coming=cpus("4"))
    assert it.all == cpus("2-4")
    assert it.allocated == Allocated(cpus("2-3"), "PCPULevel")


def test_who_has_none_yet_has_nothing_noted() -> None:
    assert Holding(cpus(""), coming=cpus("4")).allocated is NOT_ALLOCATED


@pytest.mark.parametrize(
    ("usable", "has", "coming"), [("0-7", "2-3", "4"), ("0-2", "2", ""), ("4-7", "", "4"), ("0", "", "")]
)
def test_only_usable_cpus_count(usable: str, has: str, coming: str) -> None:
    found = Holding(cpus("2-3"), "PCPULevel", coming=cpus("4")).within(cpus(usable))
    assert (found.cpus, found.coming, found.exclusive) == (cpus(has), cpus(coming), "PCPULevel")
