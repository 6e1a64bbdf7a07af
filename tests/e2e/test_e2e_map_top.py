"""`koordnri map` and `koordnri top` of a node where containers run: who has which CPUs, and what their cgroups use."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.test_e2e_diff import koordnri
from tests.support.waiting import eventually

BUSY = ("sh", "-c", "while :; do :; done")


def asked(daemon: Daemon, *arguments: str) -> Any:
    """The JSON that a command prints."""
    done = koordnri(daemon, *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def figures(daemon: Daemon, container: Container) -> Any:
    """The container's row of `top`, below its class and its pod."""
    for of_class in asked(daemon, "top", "--once")["classes"]:
        for pod in of_class["pods"]:
            for one in pod["containers"]:
                if one["id"] == container.id:
                    assert pod["name"] == container.pod.name
                    return one | {"class": of_class["class"], "pod": pod}
    raise AssertionError(f"top has no row of {container.name}")


def test_the_map_names_the_owner_of_a_cpu(kubelet: Kubelet, daemon: Daemon) -> None:
    container = pods.pinned(kubelet)

    shape = asked(daemon, "map")
    (owner,) = shape["owners"]
    assert (owner["pod"], owner["cpus"]) == (f"default/{container.pod.name}", pods.PINNED_CPUS)
    (cpu,) = (cpu for cpu in shape["cpus"] if str(cpu["cpu"]) == pods.PINNED_CPUS)
    assert (cpu["state"], cpu["owners"]) == ("owned", [0])
    text = koordnri(daemon, "map").stdout
    print(text)  # shown by pytest -rP
    assert f"default/{container.pod.name}" in text


def test_top_shows_a_busy_container_that_its_quota_holds_back(kubelet: Kubelet, daemon: Daemon) -> None:
    container = pods.batch(kubelet, command=BUSY)

    def throttled() -> Any:
        row = figures(daemon, container)
        return row if row["cpu"]["usedMilli"] and row["cpu"]["throttledMsPerS"] else None

    row = eventually(throttled, "a busy batch container is throttled")
    assert row["class"] == "BE"
    assert (row["cpu"]["requestedMilli"], row["cpu"]["givenMilli"]) == (pods.BATCH_CPU_M, pods.BATCH_CPU_M)
    assert row["memory"]["usedBytes"] > 0
    assert row["pod"]["cpu"]["usedMilli"] > 0
    # Every kernel of the laboratory keeps scheduler statistics.
    assert row["cpu"]["waitingMsPerS"] is not None
    table = koordnri(daemon, "top", "--once").stdout
    print(table)
    assert container.pod.name in table
