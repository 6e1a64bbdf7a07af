"""What the status shows of measured pods."""

from __future__ import annotations

from koordnri.answers.measured import MOST_SHOWN, reclaimable_shape, waits_shape
from tests.control.memory_signals import GI, MI, batch_pod, node_signals
from tests.control.neighbour_pods import one_pod, window


def test_pods_that_wait_are_shown_with_their_suspects():
    hog = one_pod("hog", "BE", request_milli=500, used_cores=4.0)
    [shape] = waits_shape(window([one_pod("web", used_cores=0.5, waited_cores=0.5), hog]).findings)
    assert shape.pop("text").startswith("waited for a CPU 50 % of the time")
    assert shape == {
        "pod": "shop/web",
        "resource": "cpu",
        "kind": "neighbour",
        "waitedPercent": 50.0,
        "targetPercent": 20,
        "suspects": [{"pod": "shop/hog", "used": 4.0, "requested": 0.5}],
    }


def test_of_many_pods_that_wait_those_that_wait_longest_are_shown():
    pods = [one_pod(f"web{i}", used_cores=0.5, waited_cores=0.5 + i) for i in range(MOST_SHOWN + 5)]
    shown = [one["pod"] for one in waits_shape(window(pods).findings)]
    assert shown == [f"shop/web{i}" for i in range(MOST_SHOWN + 4, 4, -1)]


def test_memory_that_could_be_reclaimed_is_added_up_over_all_pods_and_shown_for_the_first():
    pods = [batch_pod(f"job{i}", GI, request=GI - MI, memory_charged_bytes=GI + MI) for i in range(MOST_SHOWN + 2)]
    shape = reclaimable_shape(node_signals(0.0, 50, pods))
    assert shape is not None
    assert (shape["cachedBytes"], shape["beyondRequestsBytes"]) == ((MOST_SHOWN + 2) * MI, (MOST_SHOWN + 2) * MI)
    assert len(shape["pods"]) == MOST_SHOWN
    assert shape["pods"][0] == {"pod": "shop/job0", "cachedBytes": MI, "beyondRequestsBytes": MI}


def test_what_is_not_measured_is_not_shown():
    assert reclaimable_shape(None) is None
    assert reclaimable_shape(node_signals(0.0, 50, [batch_pod("job", None)])) is None
