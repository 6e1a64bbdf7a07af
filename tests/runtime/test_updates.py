"""Conflicts and merging of the plugins' updates of containers (nri.md 4)."""

import pytest

from koordnri.runtime.errors import Conflict
from koordnri.runtime.owners import Owners
from koordnri.runtime.updates import Updates
from koordnri.wire import api_pb2 as api
from tests.runtime.scripted_plugin import quota, update
from tests.support.messages import container, pod


def test_updates_of_one_container_are_merged_and_conflict_per_field() -> None:
    updates = Updates(Owners())
    updates.apply([update("x", quota(1), ignore_failure=True)], "05-a")
    updates.apply([update("x", api.LinuxResources(cpu=api.LinuxCPU(cpus="3"))), update("y", quota(2))], "10-b")
    with pytest.raises(Conflict, match='plugins "20-c" and "05-a" both tried to set CPUQuota'):
        updates.apply([update("x", quota(1))], "20-c")
    assert list(updates.others) == ["x", "y"]
    merged = updates.others["x"]
    assert (merged.linux.resources.cpu.quota.value, merged.linux.resources.cpu.cpus) == (1, "3")
    assert not merged.ignore_failure


def test_a_conflict_that_may_be_ignored_skips_the_whole_update() -> None:
    updates = Updates(Owners())
    updates.apply([update("x", quota(1))], "05-a")
    both = quota(2)
    both.memory.limit.value = 5
    updates.apply([update("x", both, ignore_failure=True)], "10-b")
    assert updates.others["x"].linux.resources == quota(1)


def test_kubelets_own_values_are_not_claimed_and_the_result_replaces_them() -> None:
    asked = api.UpdateContainerRequest(pod=pod(), container=container(), linux_resources=quota(100))
    asked.linux_resources.memory.limit.value = 7
    updates = Updates(Owners(), asked)
    updates.apply([update("c1", quota(-1))], "05-a")
    assert updates.own is not None
    assert updates.own.linux.resources.cpu.quota.value == -1
    assert updates.own.linux.resources.memory.limit.value == 7
    assert asked.linux_resources.cpu.quota.value == -1  # what the next plugin sees
    with pytest.raises(Conflict, match="CPUQuota"):
        updates.apply([update("c1", quota(5))], "10-b")


def test_an_update_without_an_id_is_of_nobody() -> None:
    asked = api.UpdateContainerRequest(pod=pod(), container=container(), linux_resources=quota(100))
    updates = Updates(Owners(), asked)
    updates.apply([update("", quota(-1))], "05-a")
    assert updates.own is None
    assert asked.linux_resources == quota(100)


def test_pids_and_device_rules_of_an_update_are_lost() -> None:
    updates = Updates(Owners())
    lost = api.LinuxResources(pids=api.LinuxPids(limit=5), devices=[api.LinuxDeviceCgroup(allow=True)])
    updates.apply([update("x", lost)], "05-a")
    assert updates.others["x"].linux.resources == api.LinuxResources()


def test_pids_that_kubelet_asks_for_are_claimed_by_every_plugin_as_in_go() -> None:
    asked = api.UpdateContainerRequest(pod=pod(), container=container())
    asked.linux_resources.pids.limit = 5
    updates = Updates(Owners(), asked)
    updates.apply([update("c1", quota(1))], "05-a")
    assert updates.own is not None
    assert updates.own.linux.resources.pids.limit == 5
    with pytest.raises(Conflict, match='plugins "10-b" and "05-a" both tried to set PidsLimit'):
        updates.apply([update("c1", api.LinuxResources(cpu=api.LinuxCPU(cpus="0")))], "10-b")
