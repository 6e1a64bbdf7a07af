"""How busy the CPUs are that containers without exclusive CPUs share."""

from __future__ import annotations

import pytest

from koordnri.control.share_pool import WINDOW_S, NodeLoad, SharePool
from tests.control.signals import batch, of_pod, service, signals
from tests.support.pods import pod


@pytest.mark.parametrize(
    ("node", "load"),
    [
        (0, NodeLoad.IDLE),
        (8.9, NodeLoad.IDLE),
        (9, NodeLoad.COOLING),
        (9.9, NodeLoad.COOLING),
        (10, NodeLoad.OVERLOAD),
        (None, NodeLoad.UNKNOWN),
    ],
)
def test_the_state_goes_by_the_threshold(node: float | None, load: NodeLoad) -> None:
    assert SharePool().load(signals(cpus=20, node=node), 50) is load


def test_pods_with_exclusive_cpus_and_batch_are_no_part_of_it() -> None:
    exclusive = [of_pod(pod(qos, name=qos.lower()), 2, request_milli=4000) for qos in ("LSE", "LSR")]
    shared = service(4)  # 4 cores of 20 − 8
    assert SharePool().load(signals(*exclusive, shared, batch(10), node=18), 34) is NodeLoad.COOLING
    assert SharePool().load(signals(*exclusive, shared, batch(10), node=18), 33) is NodeLoad.OVERLOAD


def test_without_shared_cpus_the_node_is_overloaded() -> None:
    assert SharePool().load(signals(of_pod(pod("LSE"), 0, request_milli=20_000), node=0), 50) is NodeLoad.OVERLOAD


def test_usage_is_averaged_over_the_window() -> None:
    pool = SharePool()
    assert pool.load(signals(node=0, at_s=1), 50) is NodeLoad.IDLE
    assert pool.load(signals(node=16, at_s=2), 50) is NodeLoad.IDLE
    assert pool.load(signals(node=16, at_s=3), 50) is NodeLoad.OVERLOAD
    assert pool.load(signals(node=None, at_s=4), 50) is NodeLoad.OVERLOAD
    assert pool.load(signals(node=None, at_s=4 + WINDOW_S), 50) is NodeLoad.UNKNOWN
