"""Victims, their suspects, and the causes that are no neighbour's fault."""

from __future__ import annotations

import pytest

from koordnri.control.averages import Average
from koordnri.control.finding import OUTSIDE, Cause, Resource
from koordnri.control.neighbours import COOL_S, MOST_REPORTED, MOST_SUSPECTS, WINDOW_S, Neighbours, cpu_wait_percent
from koordnri.policy.controllers import WaitTargets
from tests.control.neighbour_pods import GI, MI, one_pod, tick, window

WAITS = {"used_cores": 0.5, "waited_cores": 0.5}
HOG = one_pod("hog", "BE", used_cores=4.0)


def causes(*pods, **node):
    return [(found.victim.name, found.resource, found.cause) for found in window(pods, **node).findings]


def suspects(*pods, **node):
    [found] = window(pods, **node).findings
    return [one.name for one in found.suspects]


@pytest.mark.parametrize(
    ("pods", "node", "cause"),
    [
        pytest.param([one_pod("web", **WAITS), HOG], {}, Cause.NEIGHBOUR, id="a-neighbour-uses-more-than-it-requests"),
        pytest.param([one_pod("web", **WAITS)], {}, Cause.ITSELF, id="nobody-else-is-there"),
        pytest.param(
            [one_pod("web", **WAITS), one_pod("hog", request_milli=4000, used_cores=4.0)],
            {},
            Cause.ITSELF,
            id="all-others-use-what-they-request",
        ),
        pytest.param(
            [one_pod("web", used_cores=5.0, waited_cores=5.0), HOG], {}, Cause.ITSELF, id="the-victim-took-more-itself"
        ),
        pytest.param(
            [one_pod("web", used_cores=0.5, waited_cores=0.5, throttled_s=0.4), HOG],
            {},
            Cause.THROTTLED,
            id="its-quota-explains-the-wait",
        ),
        pytest.param(
            [one_pod("web", used_cores=0.5, waited_cores=0.5, throttled_s=0.1), HOG],
            {},
            Cause.NEIGHBOUR,
            id="its-quota-explains-little-of-the-wait",
        ),
        pytest.param(
            [one_pod("web", used_cores=0.5, throttled_s=0.5), HOG],
            {},
            Cause.THROTTLED,
            id="throttled-and-no-wait-known",
        ),
        pytest.param(
            [one_pod("web", used_cores=0.5, throttled_s=0.3, cpu_pressure=40.0), HOG],
            {},
            Cause.THROTTLED,
            id="pressure-of-the-quota",
        ),
        pytest.param(
            [one_pod("web", used_cores=0.5, throttled_s=0.1, cpu_pressure=40.0), HOG],
            {},
            Cause.NEIGHBOUR,
            id="pressure-beyond-the-quota",
        ),
        pytest.param([one_pod("web", **WAITS)], {"stolen": 2.0}, Cause.STOLEN, id="the-hypervisor-took-CPUs"),
        pytest.param([one_pod("web", **WAITS), HOG], {"stolen": 5.0}, Cause.STOLEN, id="more-than-the-neighbour-did"),
        pytest.param(
            [one_pod("web", **WAITS), HOG], {"stolen": 2.0}, Cause.NEIGHBOUR, id="less-than-the-neighbour-did"
        ),
        pytest.param([one_pod("web", **WAITS)], {"stolen": 0.3}, Cause.ITSELF, id="hardly-any-CPU-stolen"),
    ],
)
def test_a_wait_for_cpu_has_one_cause(pods, node, cause):
    assert causes(*pods, **node) == [("web", Resource.CPU, cause)]


@pytest.mark.parametrize(
    ("pods", "cause"),
    [
        pytest.param(
            [one_pod("web", memory_pressure=30.0, memory_bytes=GI, request_bytes=GI)], Cause.ITSELF, id="alone"
        ),
        pytest.param(
            [
                one_pod("web", memory_pressure=30.0, memory_bytes=GI, request_bytes=GI),
                one_pod("hog", "BE", memory_bytes=2 * GI),
            ],
            Cause.NEIGHBOUR,
            id="a-hog",
        ),
        pytest.param(
            [
                one_pod("web", memory_pressure=30.0, memory_bytes=GI, request_bytes=GI, limit_bytes=GI),
                one_pod("hog", "BE", memory_bytes=2 * GI),
            ],
            Cause.ITSELF,
            id="at-its-own-limit",
        ),
        pytest.param(
            [
                one_pod("web", memory_pressure=30.0, memory_bytes=GI, request_bytes=GI, memory_high_events=3.0),
                one_pod("hog", "BE", memory_bytes=2 * GI),
            ],
            Cause.ITSELF,
            id="at-its-own-memory.high",
        ),
    ],
)
def test_a_stall_on_memory_has_one_cause(pods, cause):
    assert causes(*pods) == [("web", Resource.MEMORY, cause)]


def test_a_stall_on_io_is_due_to_who_reads_and_writes_more():
    web = one_pod("web", io_pressure=30.0, read_bytes_s=2.0 * MI)
    assert causes(web) == [("web", Resource.IO, Cause.ITSELF)]
    assert suspects(web, one_pod("hog", "BE", written_bytes_s=20.0 * MI), one_pod("tiny", read_bytes_s=1.0)) == [
        "shop/hog"
    ]


@pytest.mark.parametrize(("qos", "target"), [("LSE", 5), ("LSR", 10), ("LS", 20), ("SYSTEM", 20), ("", 20)])
def test_a_victim_waits_beyond_the_target_of_its_class(qos, target):
    def waiting(percent):
        return one_pod("web", qos, used_cores=1.0, waited_cores=percent / (100 - percent))

    assert causes(waiting(target - 1), HOG) == []
    assert causes(waiting(target + 1), HOG) == [("web", Resource.CPU, Cause.NEIGHBOUR)]


def test_the_policy_has_the_targets():
    report = window([one_pod("web", used_cores=1.0, waited_cores=0.5)], targets=WaitTargets(ls=50))
    assert report.findings == ()


def test_best_effort_pods_are_no_victims():
    assert causes(one_pod("job", "BE", **WAITS), HOG) == []


@pytest.mark.parametrize(
    ("average", "percent"),
    [
        pytest.param(Average(used_cores=3.0, waited_cores=1.0), 25.0, id="share-of-the-time-that-it-wanted-a-CPU"),
        pytest.param(Average(used_cores=0.0, waited_cores=0.01), 0.0, id="too-little-to-count"),
        pytest.param(Average(used_cores=3.0, waited_cores=1.0, cpu_pressure=90.0), 25.0, id="not-by-pressure-then"),
        pytest.param(Average(cpu_pressure=90.0), 90.0, id="by-pressure"),
        pytest.param(Average(used_cores=1.0, waited_cores=0.0, throttled_s=1.0), 50.0, id="throttled"),
        pytest.param(Average(used_cores=1.0), None, id="unknown"),
    ],
)
def test_how_long_a_pod_waited_for_cpu(average, percent):
    assert cpu_wait_percent(average) == percent


def test_of_many_suspects_the_worst_are_named_worst_first():
    hogs = [one_pod(f"hog{i}", used_cores=1.0 + i) for i in range(5)]
    assert suspects(one_pod("web", **WAITS), *hogs) == ["shop/hog4", "shop/hog3", "shop/hog2"][:MOST_SUSPECTS]


def test_a_suspect_may_run_on_a_cpu_of_the_victim():
    web = one_pod("web", cpus="0-1", **WAITS)
    beside, elsewhere = one_pod("beside", "BE", cpus="1-3", used_cores=2.0), one_pod("far", cpus="4-7", used_cores=4.0)
    assert suspects(web, beside, elsewhere) == ["shop/beside"]
    assert suspects(web, one_pod("anywhere", used_cores=4.0)) == ["shop/anywhere"]


def test_processes_outside_of_pods_are_a_suspect():
    assert suspects(one_pod("web", **WAITS), node=4.0) == [OUTSIDE]


def test_one_long_wait_that_the_window_averages_away_is_no_finding():
    neighbours, quiet = Neighbours(), one_pod("web", used_cores=0.5, waited_cores=0.0)
    for second in range(round(WINDOW_S)):
        pods = [one_pod("web", **WAITS) if second == 0 else quiet, HOG]
        report = neighbours.step(tick(float(second), pods), WaitTargets())
    assert report.findings == ()


def test_a_victim_is_reported_again_after_the_cool_down():
    neighbours, pods = Neighbours(), [one_pod("web", **WAITS), HOG]
    reports = []
    for i in range(round(COOL_S / WINDOW_S) + 2):
        report = window(pods, neighbours=neighbours, from_s=i * WINDOW_S)
        assert len(report.findings) == 1
        reports.append(len(report.new))
    assert reports == [1, *[0] * round(COOL_S / WINDOW_S - 1), 1, 0]


def test_of_many_victims_those_that_waited_longest_are_reported_first():
    neighbours = Neighbours()
    pods = [one_pod(f"web{i}", used_cores=0.5, waited_cores=0.5 + i) for i in range(MOST_REPORTED + 5)]
    first = window(pods, neighbours=neighbours)
    assert len(first.findings) == MOST_REPORTED + 5
    assert [found.victim.name for found in first.new] == [f"web{i}" for i in range(MOST_REPORTED + 4, 4, -1)]
    second = window(pods, neighbours=neighbours, from_s=WINDOW_S)
    assert [found.victim.name for found in second.new] == [f"web{i}" for i in range(4, -1, -1)]


def test_nothing_is_left_of_pods_that_are_gone():
    neighbours = Neighbours()
    window([one_pod(f"web{i}", **WAITS) for i in range(20)], neighbours=neighbours)
    later = window([], neighbours=neighbours, from_s=2 * COOL_S)
    assert later.findings == ()
    assert neighbours._reported == {}
    assert neighbours._averages._pods == {}
