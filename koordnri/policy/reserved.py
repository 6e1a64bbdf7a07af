"""CPUs that the policy reserves for the system: removed from published pools."""

from __future__ import annotations

from dataclasses import replace

from koordnri.model.cpuset import CPUSet
from koordnri.model.node import NodeState, Pool
from koordnri.policy.policy import Policy

_KEY = "reservedCPUs"


def without_reserved(policy: Policy, node: NodeState) -> NodeState:
    """The node with the policy's reserved CPUs in `reserved_cpus` and not in its share pools; `node` itself without any.

    A pool of reserved CPUs only stays as it is: containers on the system's CPUs are better than containers on none. This, and CPUs that
    are not online, are reported in `problems`. system_cpus stay, because CPUs are reserved for SYSTEM pods.
    """
    reserved = policy.reserved_cpus
    if not reserved:
        return node
    problems: list[str] = []
    if node.topology is not None and (absent := reserved - node.topology.online):
        problems.append(
            f"{_KEY} {_short(reserved)}: {_short(absent)} are not online; expected CPUs of {node.topology.online}"
        )
    return replace(
        node,
        reserved_cpus=node.reserved_cpus | reserved,
        ls_pools=tuple(_reduced(pool, reserved, "share pool", problems) for pool in node.ls_pools),
        be_pools=tuple(_reduced(pool, reserved, "BE share pool", problems) for pool in node.be_pools),
        problems=(*node.problems, *problems),
    )


def _reduced(pool: Pool, reserved: CPUSet, kind: str, problems: list[str]) -> Pool:
    cpus = CPUSet.parse(pool.cpus)
    if not cpus & reserved:
        return pool  # with its published text
    if cpus <= reserved:
        problems.append(
            f"{_KEY} {_short(reserved)}: the {kind} of NUMA node {pool.numa} has no other CPUs and keeps {_short(cpus)}"
        )
        return pool
    return replace(pool, cpus=str(cpus - reserved))


def _short(cpus: CPUSet) -> str:
    return str(cpus)[:60]
