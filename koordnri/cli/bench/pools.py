"""How soon the node finds exclusive CPUs for a container, and how soon all others have left them, so that it may run."""

from __future__ import annotations

import time

from koordnri.cli.bench import load
from koordnri.cli.bench.daemon import BenchedDaemon, started
from koordnri.cli.bench.figures import BenchError, spread
from koordnri.cli.bench.host import cgroup_of, write_cgroups
from koordnri.cli.bench.policy import defaults
from koordnri.cpus.allocator import Allocator
from koordnri.model import CPUSet, NodeState, Pod, Resources
from koordnri.model.qos import QOS_LABEL
from koordnri.model.topology import Topology
from koordnri.wire.versions import Version

KIND = load.Kind("own", "guaranteed", "LSR", lambda _number: {}, "CPUSetCPUs", "cpuset.cpus")
"""No scheduler assigned CPUs to such a pod, so the node allocates them."""


def cleared_s(containers: int, version: Version, turns: int) -> dict[str, float]:
    """Seconds from CreateContainer until its StartContainer is answered.

    containers   containers that share CPUs beside it, each of which must leave some

    Raises BenchError.
    """
    pinned = sum(kind.name == "lsr" for kind in load.KINDS)
    all_of_them = containers * len(load.KINDS) // (len(load.KINDS) - pinned)
    with started(all_of_them, version, defaults(), cgroups=2) as daemon:
        return spread([_turn(daemon, all_of_them + turn) for turn in range(turns)], 3)


def _turn(daemon: BenchedDaemon, number: int) -> float:
    runtime, pod = daemon.runtime, load.make_pod(KIND, number)
    container = load.make_container(pod, KIND, number)
    write_cgroups(daemon.host, pod, [])
    runtime.run_pod_sandbox(pod)
    daemon.settle()
    began = time.perf_counter()
    state = runtime.create_container(pod.id, container)
    write_cgroups(daemon.host, pod, [container])
    runtime.start_container(container.id)
    took_s = time.perf_counter() - began
    own = CPUSet.parse(state.spec.linux.resources.cpu.cpus)
    if not own:
        raise BenchError(
            f"expected koordnri to give CPUs to a container of kind {KIND.name}, it gave none\n{daemon.tail()}"
        )
    _check_clear(daemon, own, container.id)
    runtime.remove_container(container.id)
    runtime.remove_pod_sandbox(pod.id)
    return took_s


def _check_clear(daemon: BenchedDaemon, own: CPUSet, owner: str) -> None:
    for other in daemon.runtime.containers.values():
        pod = daemon.runtime.pods[other.pod_id].message
        file = daemon.host / "sys/fs/cgroup" / cgroup_of(pod, other.spec) / "cpuset.cpus"
        if other.spec.id != owner and (on := CPUSet.parse(file.read_text()) & own):
            raise BenchError(f"{file}: expected no CPU of {own} when their owner runs, it has {on}\n{daemon.tail()}")


LARGE = Topology.regular(2, 4, 24, 2)
"""384 CPUs on 8 NUMA nodes"""
OWNERS = 200
"""pods with one exclusive CPU each"""


def allocated_ms(turns: int) -> dict[str, float]:
    """Milliseconds to choose a CPU for the last of `OWNERS` pods on a large node, and to compute the share pools without it.

    Raises BenchError.
    """
    allocator, node = Allocator(), NodeState(topology=LARGE)
    pods = [Pod(f"p{n}", f"u{n}", "bench", f"p{n}", {QOS_LABEL: "LSR"}, {}, f"/kubepods/pod{n}") for n in range(OWNERS)]
    baseline, costs = Resources(cpu_shares=1024, cpu_quota=100_000, cpu_period=100_000), []
    for pod in pods:
        allocator.give(pod, "main", baseline, node)
    for _ in range(turns):
        allocator.forget_pod(pods[-1].key)
        began = time.perf_counter()
        given = allocator.give(pods[-1], "main", baseline, node)
        applied = allocator.applied(node)
        costs.append((time.perf_counter() - began) * 1e3)
        if given is None or any(CPUSet.parse(pool.cpus) & given.cpus for pool in applied.ls_pools):
            raise BenchError(f"expected a CPU of its own that no share pool has, got {given}")
    return spread(costs, 3)
