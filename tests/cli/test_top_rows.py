"""Rows: classes, pods and containers, sorted."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.cli.top_rows import as_json
from koordnri.cli.top_sample import UsageSample
from tests.cli.top_readings import AFTER, BEFORE, BUSY, MIB, container, cpu_of, pod, reading, rows, shown


def test_classes_pods_and_containers_are_sorted_by_cpu() -> None:
    classes = rows(BUSY, BEFORE, AFTER)
    assert shown(classes) == [
        ("BE", [("shop/job", ["main"])]),
        ("LS", [("shop/web", ["main", "proxy"]), ("shop/idle", ["main"])]),
    ]
    assert cpu_of(classes) == [("BE", 90), ("LS", 10)]
    # The pod's own cgroup has more in it than its containers.
    assert cpu_of(list(classes[1].below)) == [("shop/web", 9), ("shop/idle", 1)]


def test_or_by_memory() -> None:
    assert shown(rows(BUSY, BEFORE, AFTER, "memory")) == [
        ("LS", [("shop/idle", ["main"]), ("shop/web", ["proxy", "main"])]),
        ("BE", [("shop/job", ["main"])]),
    ]


@pytest.mark.parametrize(("key", "highest"), [("throttled", "shop/slow"), ("waiting", "shop/web")])
def test_or_by_what_holds_threads_back(key: str, highest: str) -> None:
    pods = [pod("slow", container("a", "1", 500)), pod("web", container("a", "2", 500))]
    before = {name: reading(0.0, 0, 0, waiting={1: 0}) for name in ("slow", "web", "1", "2")}
    after = {
        "slow": reading(1.0, 0, 9000),
        "1": reading(1.0, 0, 9000, waiting={1: 1_000_000}),
        "web": reading(1.0, 0, 1000),
        "2": reading(1.0, 0, 1000, waiting={1: 5_000_000}),
    }
    (ls,) = rows(pods, before, after, key)
    assert ls.below[0].name == highest


def test_a_cgroup_that_has_vanished_loses_its_row_only() -> None:
    after = {name: one for name, one in AFTER.items() if name not in ("w1", "job")}
    assert shown(rows(BUSY, BEFORE, after)) == [("LS", [("shop/web", ["main"]), ("shop/idle", ["main"])])]


def test_a_new_container_has_a_row_without_rates() -> None:
    before = {name: one for name, one in BEFORE.items() if name != "w1"}
    (_, ls) = rows(BUSY, before, AFTER)
    (web, _) = ls.below
    assert [(one.name, one.figures.used_milli, one.figures.memory) for one in web.below] == [
        ("main", 7, 3),
        ("proxy", None, 5),
    ]


@pytest.mark.parametrize(
    ("containers", "given"),
    [
        ([container("a", "1", 500), container("b", "2", 250)], 750),
        ([container("a", "1", 500), container("b", "2")], None),
        ([container("a", "1", 2000, "0-1"), container("b", "2", 250)], 2250),
        # A scheduler assigns CPUs to the whole pod.
        ([container("a", "1", 2000, "0-1"), container("b", "2", 2000, "0-1")], 2000),
    ],
)
def test_what_a_pod_was_given(containers: list[Any], given: int | None) -> None:
    (ls,) = rows([pod("web", *containers)], {}, {"web": reading(0.0)})
    assert ls.below[0].figures.given_milli == given


def test_requests_waiting_and_throttling_of_a_pod_are_those_of_its_containers() -> None:
    pods = [pod("web", container("a", "1", 500, requested=100), container("b", "2", 500, requested=200))]
    before = {
        "web": reading(0.0, 0, 0),
        "1": reading(0.0, 0, 0, waiting={1: 0}),
        "2": reading(0.0, 0, 0, waiting={2: 0}),
    }
    after = {
        "web": reading(1.0, 0, 1000),
        "1": reading(1.0, 0, 2000, waiting={1: 3_000_000}),
        "2": reading(1.0, 0, 4000, waiting={2: 5_000_000}),
    }
    (ls,) = rows(pods, before, after)
    figures = ls.below[0].figures
    assert (figures.requested_milli, figures.throttled_ms_per_s, figures.waiting_ms_per_s) == (300, 6, 8)


def test_the_shape_for_programs() -> None:
    pods = [pod("web", container("main", "w1", 2000, "0-1", 1500))]
    classes = rows(pods, {"w1": reading(0.0)}, {"web": reading(1.0), "w1": reading(1.0, 1_000_000, memory=MIB)})
    shape = as_json(UsageSample("n", pods, {}), classes)
    assert (shape["node"], [c["class"] for c in shape["classes"]]) == ("n", ["LS"])
    (one,) = shape["classes"][0]["pods"]
    assert (one["namespace"], one["name"], one["kubeQoS"]) == ("shop", "web", "Burstable")
    assert one["containers"] == [
        {
            "name": "main",
            "id": "w1",
            "cpus": "0-1",
            "exclusive": True,
            "cpu": {
                "usedMilli": 1000.0,
                "requestedMilli": 1500,
                "givenMilli": 2000,
                "throttledMsPerS": None,
                "waitingMsPerS": None,
            },
            "pressurePercent": {"cpu": None, "memory": None, "io": None},
            "memory": {"usedBytes": MIB, "minBytes": None, "highBytes": None},
            "io": {"readBytesPerS": None, "writtenBytesPerS": None},
        }
    ]
