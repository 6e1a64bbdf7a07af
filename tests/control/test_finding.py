"""A finding as people read it."""

from __future__ import annotations

import pytest

from tests.control.neighbour_pods import GI, MI, one_pod, window

WAITS = {"used_cores": 0.5, "waited_cores": 0.5}


@pytest.mark.parametrize(
    ("pods", "node", "sentence"),
    [
        pytest.param(
            [one_pod("web", **WAITS), one_pod("hog", "BE", request_milli=500, used_cores=4.0)],
            {},
            "waited for a CPU 50 % of the time for 15 s (target 20 %), while others used more than they request: "
            "shop/hog 4.00 CPUs (requests 0.50)",
            id="neighbour",
        ),
        pytest.param(
            [one_pod("web", used_cores=0.5, throttled_s=0.5)],
            {},
            "waited for a CPU 50 % of the time for 15 s (target 20 %): its own CPU limit held it back, 0.50 s per s",
            id="throttled",
        ),
        pytest.param(
            [one_pod("web", **WAITS)],
            {"stolen": 2.0},
            "waited for a CPU 50 % of the time for 15 s (target 20 %): the hypervisor gave 2.0 of the node's CPUs to "
            "other machines",
            id="stolen",
        ),
        pytest.param(
            [one_pod("web", memory_pressure=30.0), one_pod("hog", memory_bytes=GI, request_bytes=GI // 2)],
            {},
            "stalled on memory 30 % of the time for 15 s (target 20 %), while others used more than they request: "
            "shop/hog 1024 MiB (requests 512)",
            id="memory",
        ),
        pytest.param(
            [one_pod("web", io_pressure=30.0), one_pod("hog", read_bytes_s=20.0 * MI)],
            {},
            "stalled on I/O 30 % of the time for 15 s (target 20 %), while others used shop/hog 20.0 MiB/s of disks",
            id="io",
        ),
        pytest.param(
            [one_pod("web", io_pressure=30.0)],
            {},
            "stalled on I/O 30 % of the time for 15 s (target 20 %): nobody else used more beyond its request than the "
            "pod itself, or it is at its own limit",
            id="itself",
        ),
    ],
)
def test_a_finding_as_a_sentence(pods, node, sentence):
    [found] = window(pods, **node).findings
    assert str(found) == sentence
