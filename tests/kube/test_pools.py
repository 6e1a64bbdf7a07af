"""Koordinator's share pools on the NodeResourceTopology: what the daemon gets of them, also where the API does not have the kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from structlog.testing import LogCapture

from koordnri.kube import Api, PoolsWatch, Restart, Timing
from koordnri.model.node_annotations import BE_POOLS_KEY, LS_POOLS_KEY
from tests.kube.fake_api import Answer, FakeApi, Live, Seen, line, listing, status
from tests.kube.fake_cluster import POOLS, topology

KIND = "NodeResourceTopology"
LS, BE = {LS_POOLS_KEY: '[{"cpuset": "0-3"}]'}, {BE_POOLS_KEY: '[{"cpuset": "4-7"}]'}
NO_KIND = status(404, "the server could not find the requested resource")
TIMING = Timing(first_pause_s=0.001, relist_spread_s=0.001)


class Pools:
    """The watch of n1's pools under test: what it reported, and how long it wanted to wait. It never really waits."""

    def __init__(self, api: Api, log: Any) -> None:
        self.reported: Seen[Mapping[str, str]] = Seen()
        self.pauses: Seen[float] = Seen()
        self.watch = PoolsWatch(
            api,
            "n1",
            self.reported.append,
            log,
            timing=TIMING,
            uniform=lambda low, high: high,
            pause=lambda stop, pause_s: self.pauses.append(pause_s),
        ).watch


@pytest.fixture
def pools(api: Api, log: Any) -> Iterator[Pools]:
    it = Pools(api, log)
    yield it
    it.watch.stop()


@pytest.mark.parametrize(
    ("listed", "reported"),
    [
        ([topology("9", {**LS, **BE, "other": "x"})], {**LS, **BE}),
        ([topology("9", LS), topology("8", BE, name="n2")], LS),
        ([topology("9", {"other": "x"})], {}),
        ([topology("9", BE, name="n2")], {}),
        ([], {}),
    ],
    ids=["both", "another node's beside it", "no pools", "another node's", "no such object"],
)
def test_the_first_list_is_reported(
    fake: FakeApi, pools: Pools, listed: list[Any], reported: Mapping[str, str]
) -> None:
    fake.script += [listing(KIND, "10", *listed)]
    pools.watch.start()
    assert pools.reported.wait(1) == [reported]
    assert fake.requests[0].path == POOLS
    assert fake.requests[0].query["fieldSelector"] == "metadata.name=n1"


def test_only_changes_of_the_pools_are_reported(fake: FakeApi, pools: Pools) -> None:
    live = Live()
    fake.script += [listing(KIND, "10", topology("9", LS)), live]
    pools.watch.start()
    live.send(
        line("MODIFIED", topology("11", {**LS, "other": "x"})),
        line("MODIFIED", topology("12", BE, name="n2")),
        line("MODIFIED", topology("13", BE)),
        line("DELETED", topology("14", BE)),
    )
    assert pools.reported.wait(3) == [LS, BE, {}]
    live.end()


def test_a_kind_that_the_api_does_not_have_is_an_answer_and_is_looked_for_at_a_slow_pace(
    fake: FakeApi, pools: Pools, captured: LogCapture
) -> None:
    fake.script += [NO_KIND] * 3 + [listing(KIND, "10", topology("9", LS))]
    pools.watch.start()
    assert pools.reported.wait(2) == [{}, LS]
    assert pools.watch.synced
    assert pools.pauses.items[:3] == [TIMING.absent_s] * 3
    assert pools.watch.stats.restarts[Restart.ABSENT] == 3
    assert [(e["event"], e["log_level"]) for e in captured.entries if e["event"].startswith("kube_kind")] == [
        ("kube_kind_absent", "info")
    ]


@pytest.mark.parametrize("answer", [status(403, "forbidden"), status(503, "starting"), status(500, "x")])
def test_an_answer_without_pools_is_none(fake: FakeApi, pools: Pools, answer: Answer) -> None:
    fake.script += [answer, answer, listing(KIND, "10")]
    pools.watch.start()
    assert pools.reported.wait(1) == [{}]
    assert pools.watch.stats.restarts[Restart.ABSENT] == 0
    assert max(pools.pauses.items[:2]) < 1


def test_404s_with_another_failure_between_them_are_not_in_a_row(fake: FakeApi, pools: Pools) -> None:
    fake.script += [listing(KIND, "10", topology("9", LS)), NO_KIND, NO_KIND, status(500, "x"), NO_KIND, NO_KIND]
    fake.script += [status(410, "too old"), listing(KIND, "20", topology("19", BE))]
    pools.watch.start()
    assert pools.reported.wait(2) == [LS, BE]


def test_pools_are_not_dropped_for_one_404_but_for_three_in_a_row(fake: FakeApi, pools: Pools) -> None:
    fake.script += [listing(KIND, "10", topology("9", LS)), NO_KIND, status(410, "too old")]
    fake.script += [listing(KIND, "20", topology("19", BE)), NO_KIND, NO_KIND, NO_KIND]
    fake.script += [listing(KIND, "30", topology("29", LS))]
    pools.watch.start()
    assert pools.reported.wait(4) == [LS, BE, {}, LS]
