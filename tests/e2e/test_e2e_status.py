"""`koordnri status` of a node where containers run: what it finds there, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from koordnri.host.landlock import LEAST_VERSION, landlock_version
from koordnri.wire.versions import CONTAINERD_NAMES
from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet
from tests.e2e.pods import RATIO_2
from tests.e2e.test_e2e_diff import koordnri
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]


def status(daemon: Daemon, *arguments: str) -> tuple[int, Any]:
    """Exit code and JSON."""
    done = koordnri(daemon, "status", *arguments, "-o", "json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def kinds(daemon: Daemon) -> list[str]:
    return [found["kind"] for found in status(daemon)[1]["violations"]]


def test_status_of_a_node_that_is_well_of_one_with_a_bad_policy_and_of_none(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon(policy=RATIO_2)
    daemon.start(wait=False)
    code, answer = status(daemon, "--wait")
    assert (code, answer["ready"], answer["problems"]) == (0, True, [])
    # All e2e tests run a daemon that is confined, where the kernel can.
    assert answer["landlock"].startswith("on: " if landlock_version() >= LEAST_VERSION else "off: this kernel")
    owner, sharer, batch = pods.wants_a_cpu(kubelet), pods.plain(kubelet), pods.batch(kubelet)
    eventually(lambda: kinds(daemon) == [], "no violations")
    answer = status(daemon)[1]
    print(koordnri(daemon, "status").stdout)  # shown by pytest -rP
    assert answer["runtime"]["name"] in CONTAINERD_NAMES
    assert answer["cpus"]["exclusive"] == str(kubelet.read(owner, "cpu.cpus"))
    assert answer["cpus"]["shared"] == str(kubelet.read(sharer, "cpu.cpus"))
    assert answer["counts"] == {
        "BE": {"pods": 1, "containers": 1},
        "LSR": {"pods": 1, "containers": 1},
        "none": {"pods": 1, "containers": 1},
    }
    assert {batch.pod.name} <= {change["pod"] for change in answer["decisions"]}

    daemon.policy_file.write_text("resource-qos-config: 7\n")
    eventually(lambda: status(daemon)[0] == 1, "a warning about the policy")
    code, answer = status(daemon)
    assert answer["ready"]
    assert "was refused" in answer["warnings"][0]
    assert koordnri(daemon, "status", "--brief").stdout.startswith("lab: ready; ")

    daemon.kill()
    assert koordnri(daemon, "status").returncode == 2


def test_two_pods_that_a_scheduler_gave_one_cpu_are_a_violation(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start()
    first = pods.pinned(kubelet)
    eventually(lambda: kinds(daemon) == [], "no violations")
    second = pods.pinned(kubelet)
    eventually(lambda: kinds(daemon) == ["TwoOwners"], "two owners")
    kubelet.end_pod(second.pod)
    eventually(lambda: kinds(daemon) == [], "one owner")
    assert status(daemon)[0] == 0
    kubelet.end_pod(first.pod)
