"""When garbage that refers to itself is collected: every now and then, also what was put aside before, and by Python again afterwards."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from koordnri.daemon.garbage import ALL_EVERY_S, EVERY_S, GarbageCollector


class Clock:
    """Seconds, as the test says."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ring:
    """Refers to itself."""

    def __init__(self) -> None:
        self.ring = self


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def garbage(clock: Clock) -> Iterator[GarbageCollector]:
    garbage = GarbageCollector(clock)
    garbage.start()
    yield garbage
    garbage.stop()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_it_is_collected_when_it_is_time_and_not_before(garbage, clock):
    assert not gc.isenabled()
    found = weakref.ref(Ring())
    clock.now += EVERY_S / 2
    garbage.step()
    assert found() is not None
    clock.now += EVERY_S / 2
    garbage.step()
    assert found() is None


def test_what_becomes_garbage_after_it_was_put_aside_is_found_within_an_hour(garbage, clock):
    ring = Ring()
    found = weakref.ref(ring)
    clock.now += EVERY_S
    garbage.step()
    del ring
    clock.now += EVERY_S
    garbage.step()
    assert found() is not None, "else it was not put aside, and everything is looked through each time"
    clock.now += ALL_EVERY_S
    garbage.step()
    assert found() is None
