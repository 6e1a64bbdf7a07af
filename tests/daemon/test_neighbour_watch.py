"""What becomes of a finding of noisy neighbours."""

from __future__ import annotations

from typing import Any

import structlog
from structlog.testing import LogCapture

from koordnri.control.neighbours import WINDOW_S
from koordnri.control.signals import PodSignals
from koordnri.daemon.neighbour_watch import NeighbourWatch
from koordnri.policy import Policy
from tests.control.neighbour_pods import one_pod, tick
from tests.daemon.sent_events import SentEvents
from tests.support.policies import policy_of

WEB, HOG = one_pod("web", used_cores=0.5, waited_cores=0.5), one_pod("hog", "BE", used_cores=4.0)
QUIET = one_pod("web", used_cores=0.5, waited_cores=0.0)
TEXT = (
    "waited for a CPU 50 % of the time for 15 s (target 20 %), while others used more than they request: "
    "shop/hog 4.00 CPUs (requests 0.00)"
)


def doing(action: str) -> Policy:
    return policy_of(koordnri_config={"clusterStrategy": {"controllers": {"noisyNeighbour": action}}})


class Node:
    """A node whose windows a test fills."""

    def __init__(self, action: str = "report") -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.captured = LogCapture()
        log: Any = structlog.wrap_logger(None, processors=[self.captured])
        self.watch = NeighbourWatch(SentEvents(self.sent), log)
        self.policy = doing(action)
        self.evicts: list[str] = []
        self._now_s = 0.0

    def window(self, *pods: PodSignals) -> None:
        for _ in range(round(WINDOW_S)):
            self.watch.step(tick(self._now_s, pods), self.policy)
            self.evicts += [found.victim.name for found in self.watch.to_evict]
            self._now_s += 1.0


def test_a_victim_gets_one_event_with_the_evidence_and_is_counted_and_logged_once():
    node = Node()
    node.window(WEB, HOG)
    node.window(WEB, HOG)
    assert node.sent == [("web", "NoisyNeighbour", TEXT)]
    assert node.watch.counts == {("cpu", "neighbour"): 1}
    [line] = node.captured.entries
    assert (line["event"], line["pod"], line["cause"], line["suspects"]) == (
        "pod_waits",
        "shop/web",
        "neighbour",
        ["shop/hog"],
    )
    assert line["evidence"] == TEXT
    assert [found.victim.name for found in node.watch.findings] == ["web"]


def test_a_wait_that_is_no_neighbours_is_logged_and_counted_and_no_event():
    node = Node()
    node.window(one_pod("web", used_cores=0.5, throttled_s=0.5))
    assert node.sent == []
    assert node.watch.counts == {("cpu", "throttled"): 1}


def test_report_neither_holds_down_nor_evicts():
    node = Node("report")
    node.window(WEB, HOG)
    assert (node.watch.ceiling_milli, node.evicts) == (None, [])


def test_suppress_holds_best_effort_work_down_until_nobody_waits():
    node = Node("suppress")
    node.window(WEB, HOG)
    assert (node.watch.ceiling_milli, node.evicts) == (3000, [])
    for _ in range(5):
        node.window(QUIET, HOG)
    assert node.watch.ceiling_milli is None


def test_evict_hands_on_each_new_finding_once():
    node = Node("evict")
    node.window(WEB, HOG)
    node.window(WEB, HOG)
    assert (node.watch.ceiling_milli, node.evicts) == (None, ["web"])


def test_what_batch_used_over_the_window_counts_and_not_what_it_uses_at_its_end():
    node = Node("suppress")
    for second in range(round(WINDOW_S)):
        hog = one_pod("hog", "BE", used_cores=0.0 if second % 2 == 0 else 8.0)
        node.watch.step(tick(float(second), [WEB, hog]), node.policy)
    assert node.watch.ceiling_milli == 2800  # 3/4 of 7 * 8 CPUs / 15


def test_another_action_takes_the_ceiling_away_at_once():
    node = Node("suppress")
    node.window(WEB, HOG)
    node.policy = doing("report")
    node.watch.step(tick(100.0, [WEB, HOG]), node.policy)
    assert node.watch.ceiling_milli is None


def test_switched_off_nothing_is_left():
    node = Node("suppress")
    node.window(WEB, HOG)
    node.watch.clear()
    assert (node.watch.ceiling_milli, node.watch.findings) == (None, ())
