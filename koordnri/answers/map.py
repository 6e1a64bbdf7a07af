"""`GET /v1/map`: every CPU of the node with its place and its owner. `koordnri map` draws its pictures from this shape.

    {"node": name,
     "cpus": [{"cpu", "core", "l3", "numa", "socket", "state": S, "owners": [index into owners]}]    online CPUs, by place
     "owners": [{"letter", "pod": "NAMESPACE/NAME", "container": NAME, "" for the whole pod, "class": QoS class of the label or "",
                 "by": who chose the CPUs, "cpus": list, "coming": list of those that others have yet to leave}]
     "sets": {S: list of CPUs}
     "pools": [{"class": "LS" or "BE", "socket", "node", "cpus": list}]    empty: everybody may use all shared CPUs
     "emptyPools": classes whose pool has no free CPU left and therefore uses taken ones}

S is one of STATES. The shape is a contract: keys may be added, never renamed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from koordnri.answers.cpu_holders import CPUHolder, Pins, find_holders
from koordnri.cpus.holding import Holdings
from koordnri.model import CPUSet, NodeState, Pod
from koordnri.model.cpuset import NO_CPUS

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzΓΔΘΛΞΠΣΦΨΩαβγδεζηθλμξπρστφχψω"
OTHERS = "*"
"""Letter of all owners after the last one with a letter of its own."""
STATES = ("owned", "several", "reserved", "system", "kubelet", "isolated", "shared", "unused", "offline")
"""What a CPU can be:

    owned      exclusive to one owner
    several    exclusive to more than one owner
    reserved   for the system, by the Node, the policy or kubelet's configuration
    system     for SYSTEM pods only
    kubelet    pinned by kubelet's static CPU manager, for a container that is not known
    isolated   from the kernel's scheduler, and in no share pool
    shared     by the containers without exclusive CPUs
    unused     no pod may run there: in no share pool, or outside of the cgroup of all pods
    offline    plugged in and offline; the kernel does not say where it is, so it is not in "cpus"
"""
NO_HOLDINGS: Holdings = {}
NO_PINS: Pins = {}


def drawn(
    node: NodeState,
    pods: Iterable[Pod],
    held: Holdings = NO_HOLDINGS,
    pins: Pins = NO_PINS,
) -> Mapping[str, Any]:
    """The map.

    pods   those on the node
    held   exclusive CPUs that this node gave, for those that others have yet to leave
    pins   (key of the pod, container) → CPUs that kubelet pinned it to
    """
    pods = list(pods)
    by_key = {pod.key: pod for pod in pods}
    owners = sorted(
        find_holders(node, pods, held, pins), key=lambda o: (_name(by_key, o.key), o.container, o.by, str(o.cpus))
    )
    owners_of: dict[int, list[int]] = defaultdict(list)
    for index, owner in enumerate(owners):
        for cpu in owner.cpus | owner.coming:
            owners_of[cpu].append(index)
    states = _states(node, owners_of)
    places = () if node.topology is None else node.topology.cpus
    return {
        "node": node.name,
        "cpus": [
            {
                "cpu": c.cpu,
                "core": c.core,
                "l3": c.l3,
                "numa": c.numa,
                "socket": c.socket,
                "state": states[c.cpu],
                "owners": owners_of.get(c.cpu, []),
            }
            for c in sorted(places, key=lambda c: (c.socket, c.numa, c.l3, c.core, c.cpu))
        ],
        "owners": [_described(owner, index, by_key) for index, owner in enumerate(owners)],
        "sets": _sets(node, states),
        "pools": [
            {"class": name, "socket": pool.socket, "node": pool.numa, "cpus": pool.cpus}
            for name, pools in (("LS", node.ls_pools), ("BE", node.be_pools))
            for pool in pools
        ],
        "emptyPools": list(node.empty_pools),
    }


def _states(node: NodeState, owners_of: Mapping[int, list[int]]) -> dict[int, str]:
    """Online CPU → one of STATES."""
    online = NO_CPUS if node.topology is None else node.topology.online
    usable = online if node.pods_cpus is None else online & node.pods_cpus
    pools = [CPUSet.parse(pool.cpus) for pool in (*node.ls_pools, *node.be_pools)]
    pooled = reduce(CPUSet.__or__, pools, NO_CPUS)
    ways = (
        ("reserved", node.reserved_cpus | node.kubelet_reserved),
        ("system", CPUSet.parse(node.system_cpus) if node.system_exclusive else NO_CPUS),
        ("kubelet", node.kubelet_cpus),
        ("isolated", node.isolated_cpus - pooled),
        ("shared", pooled & usable if pools else usable),
    )
    states = {}
    for cpu in online:
        if owners := owners_of.get(cpu):
            states[cpu] = "owned" if len(owners) == 1 else "several"
        else:
            states[cpu] = next((state for state, cpus in ways if cpu in cpus), "unused")
    return states


def _sets(node: NodeState, states: Mapping[int, str]) -> dict[str, str]:
    cpus_of: dict[str, list[int]] = defaultdict(list)
    for cpu, state in states.items():
        cpus_of[state].append(cpu)
    cpus_of["offline"] = list(node.offline_cpus)
    return {state: str(CPUSet(cpus_of[state])) for state in STATES}


def _described(owner: CPUHolder, index: int, by_key: Mapping[str, Pod]) -> dict[str, str]:
    pod = by_key.get(owner.key)
    return {
        "letter": LETTERS[index] if index < len(LETTERS) else OTHERS,
        "pod": _name(by_key, owner.key),
        "container": owner.container,
        "class": "" if pod is None else pod.qos.value,
        "by": owner.by,
        "cpus": str(owner.cpus),
        "coming": str(owner.coming),
    }


def _name(by_key: Mapping[str, Pod], key: str) -> str:
    """NAMESPACE/NAME; the key of a pod that the runtime has not reported."""
    pod = by_key.get(key)
    return key if pod is None else f"{pod.namespace}/{pod.name}"
