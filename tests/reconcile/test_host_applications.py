"""Applications outside of pods on a fake kernel: found, written, watched, given back."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from koordnri.chain import Snapshot
from koordnri.model import NodeState, Pod
from koordnri.model.node import Resctrl
from koordnri.reconcile.host_applications import MISSING, host_applications
from koordnri.reconcile.sweep_parts import TURNS
from tests.host.fake_kernel import Cgroup
from tests.reconcile.fake_node import MIB, FakeNode
from tests.reconcile.watched_node import Watched, watched
from tests.support.policies import policy_of

BOTH = pytest.mark.parametrize("version", [1, 2])
HOME = "host-best-effort/job"
CLASSES = {
    "lsClass": {"memoryQOS": {"enable": True, "lowLimitPercent": 50}},
    "beClass": {
        "cpuQOS": {"enable": True, "schedIdle": 1},
        "memoryQOS": {"enable": True, "throttlingPercent": 50},
        "resctrlQOS": {"enable": True},
    },
}


def policy(*applications: dict[str, Any]) -> dict[str, Any]:
    return {
        "host_application_config": {"applications": list(applications)},
        "resource_qos_config": {"clusterStrategy": CLASSES},
    }


JOB = {"name": "job", "qos": "BE"}


def node_with(version: int = 2) -> FakeNode:
    """A node with the cgroup of JOB, under its policy."""
    node = FakeNode(version)
    files = node.state.cgroup_files | ({"cpu/cpu.idle"} if version == 1 else set())
    node.state = dataclasses.replace(node.state, cgroup_files=frozenset(files))
    node.kernel.cgroups[HOME] = Cgroup(limit=64 * MIB, swap=64 * MIB, cpus=node.kernel.online if version == 1 else None)
    node.set_policy(**policy(JOB))
    return node


def job(node: FakeNode) -> Cgroup:
    return node.kernel.cgroups[HOME]


@BOTH
def test_it_gets_what_its_class_has_and_gives_it_back_also_to_the_next_daemon(version: int) -> None:
    node = node_with(version)
    before = dataclasses.replace(job(node))
    node.run_pass()
    assert job(node).idle == 1
    assert job(node).high == (32 * MIB if version == 2 else before.high)  # mainline v1 has no memory.high
    node.run_pass("sweep")
    again = node.restarted()
    again.set_policy()
    again.run_pass()
    assert job(node) == before
    assert again.ledger.all_originals() == {}


def test_what_somebody_else_wrote_is_healed_and_a_new_limit_counts() -> None:
    node = node_with()
    node.run_pass()
    job(node).idle = 0
    job(node).limit = 32 * MIB
    node.run_pass("sweep")
    assert (job(node).idle, job(node).high) == (1, 16 * MIB)


def test_a_missing_cgroup_is_reported_once_not_made_and_taken_when_it_comes() -> None:
    node = node_with()
    cgroup = node.kernel.cgroups.pop(HOME)
    node.run_pass()
    node.run_pass("sweep")
    assert HOME not in node.kernel.cgroups
    [found] = node.reconciler.hosts.found
    assert found.problem == MISSING
    logged = [call.kwargs for call in node.log.calls if call.args == ("host_application_left_alone",)]
    assert logged == [{"application": "job", "cgroup": HOME, "error": MISSING}]
    node.kernel.cgroups[HOME] = cgroup
    node.run_pass("sweep")
    assert job(node).idle == 1
    assert node.reconciler.hosts.found[0].problem == ""
    assert node.reconciler.hosts.decisions[found.cgroup.id].settings.keys() == {"cpu.idle", "memory.high"}


def test_a_cgroup_that_goes_takes_what_we_wrote_with_it() -> None:
    node = node_with()
    node.run_pass()
    del node.kernel.cgroups[HOME]
    node.run_pass()
    assert node.ledger.all_originals() == {}


def test_a_release_of_all_gives_it_back() -> None:
    node = node_with()
    node.run_pass()
    node.state = dataclasses.replace(node.state, released=frozenset("*"))
    node.run_pass()
    assert job(node).idle == 0


# -- threads ----------------------------------------------------------------------------------------------------------


def in_resctrl(node: FakeNode) -> None:
    groups = frozenset({"BE"})
    node.state = dataclasses.replace(node.state, resctrl=Resctrl("intel", 0xF, (0,), 16, groups=groups))


class Cache:
    """Stands for CacheShares: notes where threads should be."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def groups(self, *_: Any) -> None:
        """All groups exist."""

    def threads(self, places: dict[str, str], version: int, *, sweep: bool) -> None:
        self.places = dict(places)


def test_its_threads_are_in_the_group_of_the_class_until_it_leaves_the_policy() -> None:
    cache = Cache()
    node = FakeNode(2, cache=cache)
    node.kernel.cgroups[HOME] = Cgroup()
    in_resctrl(node)
    node.set_policy(**policy(JOB))
    for _ in range(2 * TURNS):
        node.run_pass("sweep")
        assert cache.places == {HOME: "BE"}
    node.set_policy(**policy())
    node.run_pass()
    assert cache.places == {HOME: ""}
    node.run_pass()
    assert cache.places == {}
    assert node.ledger.all_originals() == {}


# -- the watch --------------------------------------------------------------------------------------------------------


def watched_job() -> Watched:
    return watched(node_with(), policy=policy(JOB))


def test_a_foreign_write_is_healed_at_once() -> None:
    its = watched_job()
    job(its.node).idle = 0
    its.wrote(HOME, "cpu.idle")
    its.heal()
    assert job(its.node).idle == 1


def test_a_new_memory_limit_is_followed_at_once() -> None:
    its = watched_job()
    job(its.node).limit = 32 * MIB
    its.wrote(HOME, "memory.max")
    its.heal()
    assert job(its.node).high == 16 * MIB


# -- whose cgroup it is -----------------------------------------------------------------------------------------------


def problems(*paths: dict[str, str], pods: tuple[str, ...] = ()) -> list[str]:
    applications = [{"name": f"a{i}", "qos": "LS", "cgroupPath": path} for i, path in enumerate(paths)]
    there = [Pod(parent, parent, "shop", parent, cgroup_parent=parent) for parent in pods]
    snapshot = Snapshot.of(policy_of(**policy(*applications)), NodeState(cgroup_driver="cgroupfs"))
    return [one.problem for one in host_applications(there, snapshot)]


UID = "0a1b2c3d-0000-1111-2222-333344445555"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ({"relativePath": "kubepods"}, "it has the cgroup of pods kubepods"),
        ({"relativePath": "kubepods/burstable"}, "it has the cgroup of pods kubepods/burstable"),
        ({"base": "Kubepods", "relativePath": "besteffort"}, "it has the cgroup of pods kubepods/besteffort"),
        ({"base": "Kubepods", "relativePath": f"pod{UID}"}, "it is the cgroup of a pod, or in one"),
        ({"base": "KubepodsBurstable", "relativePath": f"pod{UID}/c"}, "it is the cgroup of a pod, or in one"),
        ({"relativePath": f"x/kubepods-pod{UID.replace('-', '_')}.slice"}, "it is the cgroup of a pod, or in one"),
        ({"relativePath": "crictl/one/c"}, "it is the cgroup of a pod, or in one"),
        ({"relativePath": "crictl"}, "it has the cgroup of pods crictl/one"),
        ({"base": "Kubepods", "relativePath": "nginx"}, ""),
    ],
)
def test_the_cgroups_of_pods_and_those_above_them_are_refused(path: dict[str, str], problem: str) -> None:
    assert problems(path, pods=("crictl/one",)) == [problem]


def test_a_second_application_for_one_cgroup_is_refused_by_name() -> None:
    path = {"relativePath": "x"}
    assert problems(path, path) == ["", "application a0 has this cgroup, too, and comes first"]
