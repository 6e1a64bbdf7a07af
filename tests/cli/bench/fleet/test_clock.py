from __future__ import annotations

from koordnri.cli.bench.fleet.clock import Clock


def test_appointments_are_kept_in_order_at_their_time() -> None:
    clock, kept = Clock(), []
    for name, pause_s in (("b", 2.0), ("a", 1.0), ("c", 2.0), ("late", 9.0)):
        clock.after(pause_s, lambda name=name: kept.append((name, clock.read())))  # type: ignore[misc]
    clock.run(5.0)
    assert kept == [("a", 1.0), ("b", 2.0), ("c", 2.0)]
    assert clock.now == 5.0


def test_what_is_over_is_done_at_once() -> None:
    clock, kept = Clock(), []
    clock.run(5.0)
    clock.at(1.0, lambda: kept.append(clock.now))
    clock.run(5.0)
    assert kept == [5.0]
