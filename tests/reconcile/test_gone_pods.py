"""A pod is gone when its cgroup had existed and does not exist any more."""

from __future__ import annotations

from typing import Any

from koordnri.reconcile.gone_pods import MOST_ENDED, GonePods


class Cgroups:
    """Of a writer, only the question whether a cgroup exists."""

    def __init__(self, *directories: str) -> None:
        self.directories = set(directories)

    def has(self, directory: str) -> bool:
        return directory in self.directories


def gone(pods: GonePods, cgroups: Any, pod_id: str = "p") -> bool:
    return pods.is_gone(pod_id, f"kubepods/{pod_id}", cgroups)


def test_a_pod_whose_cgroup_is_not_made_yet_is_not_gone():
    pods, cgroups = GonePods(), Cgroups()
    assert not gone(pods, cgroups)
    cgroups.directories.add("kubepods/p")
    assert not gone(pods, cgroups)
    cgroups.directories.clear()
    assert gone(pods, cgroups)
    assert pods.was_gone("p")


def test_a_pod_that_is_reported_again_without_its_cgroup_is_still_gone():
    """A container that was being created when the pod ended brings it back into the ledger."""
    pods, cgroups = GonePods(), Cgroups()
    pods.exists("p")
    pods.keep([])
    assert pods.was_gone("p")
    assert gone(pods, cgroups)


def test_a_pod_that_never_had_a_cgroup_is_forgotten():
    pods = GonePods()
    pods.keep(["p"])
    pods.keep([])
    assert not gone(pods, Cgroups())


def test_only_so_many_are_remembered():
    pods = GonePods()
    for number in range(MOST_ENDED + 1):
        pods.exists(str(number))
        pods.keep([])
    assert not pods.was_gone("0")
    assert pods.was_gone("1")
    assert pods.was_gone(str(MOST_ENDED))
