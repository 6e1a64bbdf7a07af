"""What could be reclaimed without harm."""

from __future__ import annotations

import pytest

from koordnri.control.reclaimable import Reclaimable, reclaimable
from tests.control.memory_signals import GI, MI, batch_pod, node_signals, service_pod


@pytest.mark.parametrize(
    ("one", "cached", "beyond"),
    [
        pytest.param(batch_pod("a", GI, memory_charged_bytes=3 * GI), 2 * GI, GI, id="cached-and-beyond"),
        pytest.param(batch_pod("a", GI, request=768 * MI), 0, 256 * MI, id="beyond-its-request"),
        pytest.param(batch_pod("a", GI, memory_charged_bytes=2 * GI, memory_pressure=5.0), GI, 0, id="it-stalls"),
        pytest.param(batch_pod("a", GI, memory_charged_bytes=2 * GI, refaults=0.5), GI, 0, id="it-reads-back"),
    ],
)
def test_of_a_best_effort_pod(one, cached, beyond):
    assert reclaimable(node_signals(0.0, 50, [one])) == [Reclaimable("shop", "a", cached, beyond)]


def test_of_a_service_only_what_is_cached_and_of_pods_with_nothing_nothing():
    pods = [service_pod("web", 0.0), batch_pod("idle", 100, request=200), batch_pod("unknown", None)]
    assert reclaimable(node_signals(0.0, 50, pods)) == []


def test_the_most_comes_first():
    pods = [batch_pod("a", MI), batch_pod("b", 3 * MI), batch_pod("c", 2 * MI)]
    assert [one.name for one in reclaimable(node_signals(0.0, 50, pods))] == ["b", "c", "a"]
