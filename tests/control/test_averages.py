"""Averages over a window."""

from __future__ import annotations

import dataclasses

from koordnri.control.averages import Average, Averages
from koordnri.control.signals import ContainerSignals, Load
from tests.control.neighbour_pods import one_pod, tick


def test_a_window_is_complete_after_its_seconds_and_the_next_begins_with_nothing():
    averages = Averages(3.0)
    shown = [averages.add(tick(float(i), [one_pod("web", used_cores=float(i))])) for i in range(6)]
    assert [None if w is None else w.pods["uid-web"].used_cores for w in shown] == [None, None, 1.0, None, None, 4.0]


def test_ticks_count_by_their_length():
    averages = Averages(4.0)
    averages.add(tick(0.0, [one_pod("web", used_cores=4.0)]))
    window = averages.add(dataclasses.replace(tick(3.0, [one_pod("web", used_cores=0.0)]), interval_s=3.0))
    assert window is not None
    assert (window.seconds, window.pods["uid-web"].used_cores) == (4.0, 1.0)


def test_what_is_unknown_at_a_tick_is_left_out_and_what_is_never_known_is_none():
    averages = Averages(2.0)
    averages.add(tick(0.0, [one_pod("web", read_bytes_s=5.0)]))
    window = averages.add(tick(1.0, [one_pod("web", used_cores=1.0)], stolen=0.5))
    assert window is not None
    assert window.pods["uid-web"] == Average(used_cores=1.0, io_bytes_s=5.0)
    assert window.stolen_cores == 0.5


def test_a_pod_that_is_gone_at_the_last_tick_is_not_in_the_window():
    averages = Averages(2.0)
    averages.add(tick(0.0, [one_pod("web"), one_pod("gone")]))
    window = averages.add(tick(1.0, [one_pod("web")]))
    assert window is not None
    assert window.pods.keys() == {"uid-web"}


def test_what_containers_waited_and_were_throttled_counts_where_it_is_more_than_the_pods():
    load = Load(waited_cores=0.25, throttled_s=0.2)
    containers = tuple(ContainerSignals(f"c{i}", f"c{i}", load) for i in range(2))
    for own, throttled in ((0.0, 0.4), (0.9, 0.9)):
        one = dataclasses.replace(one_pod("web", used_cores=1.0, throttled_s=own), containers=containers)
        window = Averages(1.0).add(tick(0.0, [one]))
        assert window is not None
        assert window.pods["uid-web"] == Average(used_cores=1.0, waited_cores=0.5, throttled_s=throttled)
