"""GET /v1/status: how many CPUs are exclusive and shared, and the policy before. The rest of it is tested with its command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from koordnri.answers.cpu_owners import CPUOwner
from koordnri.answers.status import MOST_CHANGES, node_path, numbers_of_cpus, status
from koordnri.daemon.config import Config
from koordnri.daemon.wiring import Given, Parts
from koordnri.model import CPUSet, Decision, NodeState, Setting, fields
from koordnri.model.class_cgroup import HostCgroup
from koordnri.model.node import Pool
from koordnri.model.topology import Topology
from koordnri.policy import load_policy
from koordnri.reconcile.host_applications import Found
from koordnri.session.registration import State

NODE = NodeState(topology=Topology.regular(1, 1, 4, 2))


def owner(name: str, cpus: str) -> CPUOwner:
    return CPUOwner(f"shop/{name}", "main", CPUSet.parse(cpus), "koordnri")


@pytest.mark.parametrize(
    ("directory", "shown"),
    [
        ("/host/sys/fs/cgroup/cpu/kubepods", "/sys/fs/cgroup/cpu/kubepods/cpu.shares"),
        ("/sys/fs/cgroup/kubepods.slice", "/sys/fs/cgroup/kubepods.slice/cpu.shares"),
        ("/mnt/cgroups/kubepods", "/mnt/cgroups/kubepods/cpu.shares"),
    ],
)
def test_a_file_is_named_as_the_node_has_it(directory: str, shown: str) -> None:
    assert node_path((directory, "cpu.shares")) == shown


def test_without_pools_all_cpus_are_shared() -> None:
    assert numbers_of_cpus(NODE, []) == {"exclusive": 0, "shared": 8}


def test_cpus_of_a_pool_and_of_owners_are_counted_once() -> None:
    node = replace(NODE, ls_pools=(Pool(0, 0, "0-1"), Pool(0, 1, "4-5")), be_pools=(Pool(0, 0, "0-5"),))
    assert numbers_of_cpus(node, [owner("one", "2-3"), owner("other", "3,6")]) == {"exclusive": 3, "shared": 4}


def test_what_is_not_known_is_left_out() -> None:
    assert numbers_of_cpus(NodeState(), [owner("one", "2-3")]) == {}
    assert numbers_of_cpus(replace(NODE, ls_pools=(Pool(0, 0, "all"),)), []) == {"exclusive": 0}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Those of a daemon that does not run."""
    log = (tmp_path / "log").open("wb")
    it = Parts(Config(state_dir=tmp_path / "state", listen=None), Given(NODE), log.fileno())
    yield it
    it.writer.close()
    log.close()


def take(parts: Parts, text: str) -> None:
    parts.standing.take(lambda: load_policy(text, "file"), "file", parts.changes.enforce)


def test_what_the_policy_before_had_otherwise_is_shown_key_by_key(parts: Parts) -> None:
    take(parts, "koordnri-config: {reservedCPUs: '0'}")
    assert status(parts._status)["policy"]["former"] is None
    before = parts.present.snapshot.policy.revision
    take(parts, "koordnri-config: {reservedCPUs: '0-1'}")
    former = status(parts._status)["policy"]["former"]
    assert former["revision"] == before
    assert former["changes"] == [{"path": "koordnri-config.reservedCPUs", "old": '"0"', "new": '"0-1"'}]
    assert former["more"] == 0


def test_of_very_many_changes_not_all_are_shown(parts: Parts) -> None:
    hooks = ", ".join(f"com.example.h{n}: {{mode: off}}" for n in range(MOST_CHANGES + 5))
    take(parts, "koordnri-config: {}")
    take(parts, f"koordnri-config: {{hooks: {{{hooks}}}}}")
    former = status(parts._status)["policy"]["former"]
    assert (len(former["changes"]), former["more"]) == (MOST_CHANGES, 5)


def test_required_hooks_are_named_and_nothing_is_refused_without_a_runtime(parts: Parts) -> None:
    take(parts, "koordnri-config: {hooks: {gpu: {failurePolicy: fail}}}")
    parts.session.registration.fails_unanswered = True
    assert status(parts._status)["runtime"]["required"] == {"hooks": ("gpu",), "refusesUnanswered": False}
    parts.session.registration.state = State.SYNCHRONIZED
    assert status(parts._status)["runtime"]["required"]["refusesUnanswered"]


def test_an_application_outside_of_pods_is_shown_with_what_it_is_to_have_or_why_it_is_left_alone(parts: Parts) -> None:
    there, lost = HostCgroup("nginx", "x/nginx"), HostCgroup("job", "x/job")
    hosts = parts.reconciler.hosts
    hosts.found = (Found(0, "LS", there, ""), Found(1, "", lost, "no"))
    hosts.decisions = {there.id: Decision({"cpu.idle": Setting(fields.CPU_IDLE, "", 1, "h", "why", "write")})}
    assert status(parts._status)["hostApplications"] == [
        {"name": "nginx", "qos": "LS", "cgroup": "x/nginx", "problem": "", "fields": {"cpu.idle": 1}},
        {"name": "job", "qos": "none", "cgroup": "x/job", "problem": "no", "fields": {}},
    ]


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        (
            "resource-threshold-config: {enable: true}\nkoordnri-config: {controllers: {evict: {mode: observe}}}",
            "observe",
        ),
        ("koordnri-config: {controllers: {noisyNeighbour: evict, evict: {mode: enforce}}}", "enforce"),
        ("koordnri-config: {controllers: {evict: {mode: enforce}}}", "off"),
    ],
)
def test_eviction_is_shown_as_it_is_on(parts: Parts, policy: str, mode: str) -> None:
    take(parts, policy)
    parts.session.stats.synchronized_at_s = 1.0
    parts.control_loop.tick()
    assert status(parts._status)["eviction"]["mode"] == mode
