"""Whose CPUs a pod runs on: its exclusive ones, what it waits for or lacks, and the share pools.

    {"exclusive": {container: CPUs}, "coming": {container: CPUs}, "lacking": {container: why},
     "assigned": CPUs that a scheduler assigned to the pod, "claimed": {container: CPUs from a DRA driver},
     "sharePools": {"LS": [{"socket", "node", "cpuset"}], "BE": […], "from": "koordnri"|"Koordinator"|""}}

`coming`: reserved CPUs that other containers have yet to leave. `lacking`: an LSE or LSR container without exclusive CPUs, or with fewer
than it wants. `from`: who computes the share pools; "" when there are none.
"""

from __future__ import annotations

from typing import Any

from koordnri.answers.node import list_pools
from koordnri.cpus.allocator import Allocator
from koordnri.model import NodeState, Pod
from koordnri.model.assigned import assigned_on


def cpus_of(pod: Pod, node: NodeState, allocator: Allocator) -> dict[str, Any]:
    """The shape of the module."""
    held = allocator.held.get(pod.key, {})
    pools = bool(node.ls_pools or node.be_pools)
    return {
        "exclusive": {name: str(cpus) for name, cpus in node.exclusive_cpus.get(pod.key, {}).items()},
        "coming": {name: str(one.coming) for name, one in held.items() if one.coming},
        "lacking": dict(node.no_exclusive_cpus.get(pod.key, {})),
        "assigned": str(assigned_on(pod, node)),
        "claimed": {name: str(cpus) for name, cpus in node.dra_cpus.get(pod.key, {}).items()},
        "sharePools": {
            "LS": list_pools(node.ls_pools),
            "BE": list_pools(node.be_pools),
            "from": "" if not pools else "koordnri" if node.pools_are_local else "Koordinator",
        },
    }
