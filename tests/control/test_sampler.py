"""What a tick measures of a node, from its files."""

from __future__ import annotations

import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from koordnri.chain import Snapshot
from koordnri.control.around import NOTHING_AROUND, Around
from koordnri.control.class_requests import ClassRequests
from koordnri.control.gauge import Needs
from koordnri.control.sampler import SPARE_FILES, WAITING_PER_TICK, Demand, Sampler
from koordnri.control.signals import Signals
from koordnri.host.usage.files import UsageFiles
from koordnri.model import CPUSet, Decision, NodeState, Resources
from koordnri.model.annotations import MID_CPU, MID_MEMORY
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.model.topology import Topology
from koordnri.policy import DEFAULT_POLICY
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.state.world import World
from tests.support.pods import pod as pod_of

CONTAINERS = Demand(containers=Needs(cpu=True, throttling=True))


class Node:
    """A node of files below a directory: some pods with containers; what they used is set by the test."""

    def __init__(self, root: Path) -> None:
        self.root, self.now_s = root, 100.0
        self.ledger = Ledger()
        self.state = NodeState(topology=Topology.regular(1, 1, 8, 1), reserved_cpus=CPUSet.parse("0-1"))
        self.busy = False
        self.pauses: list[float] = []
        self.sampler = Sampler(self.ledger, lambda: UsageFiles(root, 2), lambda: self.busy, self.pauses.append)
        self.machine(0)

    def put(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def machine(self, busy_ticks: int, stolen_ticks: int = 0) -> None:
        self.put("proc/stat", f"cpu  {busy_ticks} 0 0 0 0 0 0 {stolen_ticks} 0 0\n")
        self.put("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 600 kB\n")

    def pod(self, name: str, *containers: str, qos: str = "LS") -> None:
        pod = pod_of(qos, f"/kubepods/burstable/{name}", name=name)
        self.ledger.remember_pod(pod)
        self.used(f"kubepods/burstable/{name}", 0)
        for one in containers:
            entry = Entry(f"{name}-{one}", one, pod.id, Resources(cpu_quota=50_000, cpu_shares=512))
            self.ledger.remember(entry, Decision())
            self.used(f"kubepods/burstable/{name}/{name}-{one}", 0)

    def used(self, cgroup: str, us: int) -> None:
        self.put(
            f"sys/fs/cgroup/{cgroup}/cpu.stat", f"usage_usec {us}\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n"
        )

    def tick(self, demand: Demand = CONTAINERS, around: Around = NOTHING_AROUND) -> Signals:
        self.now_s += 1.0
        world = World(Snapshot.of(DEFAULT_POLICY, self.state), "containerd")
        return self.sampler.sample(self.now_s, demand, world, around)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_tick_measures_machine_pods_and_containers(node):
    node.pod("web", "main", "side")
    first = node.tick()
    assert (first.node.used_cores, first.pods["uid-web"].load.used_cores) == (None, None)
    node.machine(250, 30)
    node.used("kubepods/burstable/web", 1_500_000)
    node.used("kubepods/burstable/web/web-main", 1_000_000)
    signals = node.tick()
    assert (signals.at_s, signals.interval_s, signals.cpus) == (102.0, 1.0, CPUSet.parse("0-7"))
    assert (signals.node.used_cores, signals.stolen_cores, signals.reserved_milli) == (2.5, 0.3, 2000)
    assert (signals.node.memory_bytes, signals.memory_capacity_bytes) == (400 * 1024, 1000 * 1024)
    web = signals.pods["uid-web"]
    assert (web.load.used_cores, web.cpu_request_milli) == (1.5, 1000)
    assert {c.name: c.load.used_cores for c in web.containers} == {"main": 1.0, "side": 0.0}
    assert web.containers[0].cpu_limit_milli == 500


def test_only_what_is_demanded_is_read(node):
    node.pod("web", "main")
    before = open_files()
    node.tick(Demand())
    assert open_files() - before == 3, "two of the machine, one of the pod"
    node.tick(CONTAINERS)
    assert open_files() - before == 4
    node.sampler.close()
    assert open_files() == before


def test_pods_come_and_go_and_leave_no_descriptor(node):
    node.pod("web", "main")
    node.tick()
    before = open_files()
    node.pod("other", "main")
    assert node.tick().pods.keys() == {"uid-web", "uid-other"}
    node.ledger.forget_pod("other")
    assert node.tick().pods.keys() == {"uid-web"}
    assert open_files() == before


def test_pods_that_come_and_go_never_take_more_descriptors_than_there_are(node):
    most = 2
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SPARE_FILES + most, before[1]))
    try:
        limited = Sampler(node.ledger, lambda: UsageFiles(node.root, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    node.sampler = limited
    node.tick()
    of_machine = open_files()
    node.pod("web", "main", "side")
    for i in range(3):
        node.pod(f"passing-{i}", "main")
        node.tick()
        assert open_files() - of_machine == most
        node.ledger.forget_pod(f"passing-{i}")
        node.tick()


def test_a_container_that_joins_a_pod_leaves_the_figures_of_the_others(node):
    node.pod("web", "main")
    node.tick()
    entry = Entry("web-late", "late", "web", Resources())
    node.ledger.remember(entry, Decision())
    node.used("kubepods/burstable/web/web-main", 500_000)
    web = node.tick().pods["uid-web"]
    assert {c.name: c.load.used_cores for c in web.containers} == {"main": 0.5, "late": None}
    node.ledger.ended("web-late")
    assert len(node.tick().pods["uid-web"].containers) == 1


def test_a_pod_without_a_running_container_is_no_signal(node):
    node.pod("web")
    pod = pod_of("LS", "/kubepods/burstable/web", name="web")
    made = Entry("web-main", "main", pod.id, Resources())
    made.started = False
    node.ledger.remember(made, Decision())
    assert node.tick().pods == {}


def test_a_pod_whose_cgroup_cannot_be_known_costs_itself(node):
    node.pod("web", "main")
    odd = pod_of("LS", "/../etc", name="odd")
    node.ledger.remember_pod(odd)
    node.ledger.remember(Entry("c", "main", odd.id, Resources()), Decision())
    assert node.tick().pods.keys() == {"uid-web"}


def test_it_gives_way_while_the_runtime_asks(node):
    node.pod("web", "main")
    node.tick()
    assert node.pauses == []
    node.busy = True
    node.tick()
    assert len(node.pauses) == 1


def test_waiting_threads_are_read_of_a_few_containers_per_tick(node, monkeypatch):
    names = [f"c{i:02}" for i in range(WAITING_PER_TICK + 5)]
    node.pod("web", *names)
    for i, name in enumerate(names):
        node.put(f"sys/fs/cgroup/kubepods/burstable/web/web-{name}/cgroup.threads", f"{i + 1}\n")
    waited = dict.fromkeys(range(len(names)), 0)

    def run(ns: int) -> list[float | None]:
        for i in waited:
            waited[i] += ns
            node.put(f"proc/{i + 1}/schedstat", f"1 {waited[i]} 1\n")
        signals = node.tick(Demand(containers=Needs(cpu=True), waiting=True))
        return [c.load.waited_cores for c in signals.pods["uid-web"].containers]

    assert run(0) == [None] * len(names)
    run(500_000_000)
    run(500_000_000)
    assert run(500_000_000).count(0.5) == len(names), "each over the time since it was last read"


AROUND = Around({"nginx": "host-latency-sensitive/nginx"}, 4000, 1 << 30, 3000, 1 << 29, 2500)


def test_services_of_the_host_are_measured_where_they_run(node):
    assert node.tick(around=AROUND).host_applications == {}
    node.used("host-latency-sensitive/nginx", 0)
    node.tick(around=AROUND)
    node.used("host-latency-sensitive/nginx", 250_000)
    assert node.tick(around=AROUND).host_applications["nginx"].used_cores == 0.25
    assert node.tick().host_applications == {}


def test_what_others_know_of_the_node_is_passed_on(node):
    node.pod("web", "main")
    pod = node.ledger.pod("web")
    assert pod is not None
    node.ledger.update_pod(
        replace(pod, spec=PodSpec({"main": ContainerSpec({MID_CPU: "700", MID_MEMORY: "1Mi"}, {})}, priority=7500))
    )
    signals = node.tick(around=AROUND)
    assert (signals.be_allocatable_milli, signals.be_allocatable_bytes) == (4000, 1 << 30)
    assert (signals.mid_allocatable_milli, signals.mid_allocatable_bytes) == (3000, 1 << 29)
    assert signals.pods["uid-web"].priority == 7500
    assert signals.pods["uid-web"].class_requests == ClassRequests(700, 1 << 20)
    assert signals.reserved_milli == 2500
    nothing = node.tick()
    assert (nothing.be_allocatable_milli, nothing.mid_allocatable_milli, nothing.mid_allocatable_bytes) == (None,) * 3


def test_demands_are_joined():
    joined = Demand(Needs(cpu=True), waiting=True) | Demand(Needs(memory=True), Needs(io=True), True)
    assert joined == Demand(Needs(cpu=True, memory=True), Needs(io=True), True, True)
