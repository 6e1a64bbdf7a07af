"""NUMA policy of a container's memory: `memory-policy.noderesource.dev`, {mode, nodes, flags}, as in set_mempolicy(2)."""

from __future__ import annotations

import msgspec

from koordnri.hook import CPUSet
from koordnri.model import injection
from koordnri.model.fields import MEMORY_POLICY
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

MODES = (
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
)
FLAGS = ("MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES", "MPOL_F_NUMA_BALANCING")
_WITHOUT_NODES = ("MPOL_DEFAULT", "MPOL_LOCAL")


class _MemoryPolicy(msgspec.Struct, forbid_unknown_fields=True):
    mode: str = ""
    nodes: str | int = ""
    flags: list[str] = []


def _give(injecting: Injecting, wanted: _MemoryPolicy | None) -> None:
    if wanted is None:
        return
    mode, nodes = injecting.one_of("mode", wanted.mode, MODES), str(wanted.nodes)
    for i, flag in enumerate(wanted.flags):
        injecting.one_of(f"flags[{i}]", flag, FLAGS)
    _check(injecting, mode, nodes)
    content = {"mode": mode, "nodes": nodes, "flags": wanted.flags}
    text = " ".join(filter(None, (mode, nodes, *wanted.flags)))
    injecting.put(MEMORY_POLICY, {"linux": {"memory_policy": content}}, text)


def _check(injecting: Injecting, mode: str, nodes: str) -> None:
    if mode in _WITHOUT_NODES and nodes:
        raise injecting.wrong(f'nodes: expected none with {mode}, got "{nodes[:80]}"')
    if not nodes and mode not in (*_WITHOUT_NODES, "MPOL_PREFERRED"):
        raise injecting.wrong(f"nodes: expected the NUMA nodes for {mode}, such as 0,1; there are none")
    try:
        wanted = CPUSet.parse(nodes)
    except ValueError:
        raise injecting.wrong(f'nodes: expected a list of NUMA nodes such as 0,1, got "{nodes[:80]}"') from None
    known = injecting.ctx.node.memory_nodes
    if known and (absent := wanted - CPUSet.parse(known)):
        raise injecting.wrong(f"nodes: expected NUMA nodes with memory ({known}), got {absent}")


KIND = Kind(injection.MEMORY_POLICY, (MEMORY_POLICY,), yaml_of(_MemoryPolicy), _give)
