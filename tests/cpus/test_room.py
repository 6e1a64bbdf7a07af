"""How much room a node has for exclusive CPUs."""

from __future__ import annotations

import pytest

from koordnri.cpus.allocator import Allocator
from koordnri.cpus.room import NotEnough
from koordnri.policy.koordnri_config import CPUSetOptions
from tests.cpus.one_allocator import ISOLATED, give, whole
from tests.support.pods import pod


def test_when_there_are_not_enough_it_says_how_many_there_are_and_takes_nothing():
    allocator = Allocator()
    give(allocator, "a", 14)
    with pytest.raises(NotEnough, match=r"4 exclusive CPUs: 2 of 16 are free \(7,15\)"):
        give(allocator, "b", 4)
    assert list(allocator.held) == ["uid-a"]


def test_that_none_is_left_for_one_is_reported_in_words():
    allocator = Allocator()
    give(allocator, "a", 16)
    with pytest.raises(NotEnough, match=r"^1 exclusive CPU: 0 of 16 are free$"):
        give(allocator, "b", 1)


def test_owners_of_isolated_cpus_leave_the_shared_ones_alone_however_few():
    options, allocator = CPUSetOptions(isolated_cpus="own", min_shared_cpus=12), Allocator()
    assert str(allocator.give(pod("LSR", name="a"), "main", whole(4), ISOLATED, options).cpus) == "0-1,8-9"
    with pytest.raises(NotEnough, match="12 stay shared"):
        allocator.give(pod("LSR", name="b"), "main", whole(1), ISOLATED, options)
