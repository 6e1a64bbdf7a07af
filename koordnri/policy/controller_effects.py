"""Parts of `koordnri-config.controllers` that do less on a node than they say: what its kernel lacks, and what another key switches off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from koordnri.model.fields import MEMORY_HIGH
from koordnri.model.node import NodeState

if TYPE_CHECKING:  # documents import this module
    from koordnri.policy.policy import Policy

_PRESSURE = "memory.pressure"
"""Where a kernel has this file in a cgroup, it has pressure stall information of all three resources."""


def of_controllers(policy: Policy, node: NodeState) -> Iterator[tuple[str, str]]:
    """(path below `controllers`, message)."""
    has_pressure = (
        node.block_devices is None or _PRESSURE in node.cgroup_files
    )  # a described node lists only files that can be set
    controllers = policy.controllers
    if controllers.memory_high.mode != "off":
        if not node.field_files[MEMORY_HIGH]:
            yield (
                "memoryHigh",
                f"has no effect on this node: its kernel (cgroup v{node.cgroup_version}) has no memory.high",
            )
        elif not has_pressure:
            yield "memoryHigh.pressurePercent", _lacks("availablePercent alone says when memory is short")
    if controllers.noisy_neighbour != "off" and not has_pressure:
        yield "noisyNeighbour", _lacks("waits for CPUs alone are found, and no stall on memory or disks")
    for where, problem in _of_evict(policy):
        yield f"evict{where}", problem
    if controllers.evict.memory_pressure_percent is not None and not has_pressure:
        yield "evict.memoryPressurePercent", _lacks("it has no effect")
    if why := _only_reports(policy):
        yield "noisyNeighbour", f"{controllers.noisy_neighbour} only reports: {why}"


def _lacks(so: str) -> str:
    return f"this node's kernel has no pressure stall information in cgroups (PSI, psi=1 on its command line): {so}"


_EVICTING = (
    "memory_allocatable_evict_threshold_percent",
    "cpu_evict_be_satisfaction_lower_percent",
    "cpu_evict_threshold_percent",
    "cpu_allocatable_evict_threshold_percent",
    "evict_enabled_priority_threshold",
)
"""Keys of `resource-threshold-config` that ask for eviction and have no default."""


def _of_evict(policy: Policy) -> Iterator[tuple[str, str]]:
    """What is wanted of eviction by one key, and switched off by another."""
    threshold, mode = policy.threshold, policy.controllers.evict.mode
    if mode != "off" and not threshold.enable and policy.controllers.noisy_neighbour != "evict":
        yield ".mode", f"{mode} has no effect: resource-threshold-config has no enable: true"
    if mode == "off" and threshold.enable:
        names = {info.name: info.encode_name for info in msgspec.structs.fields(type(threshold))}
        if asked := [names[name] for name in _EVICTING if getattr(threshold, name) is not None]:
            yield ".mode", f"off: nobody is evicted by {', '.join(asked)} of resource-threshold-config"


def _only_reports(policy: Policy) -> str:
    """Why the action of `noisyNeighbour` is not taken; "" when it is, or none is asked for."""
    controllers, threshold = policy.controllers, "resource-threshold-config"
    if controllers.noisy_neighbour == "suppress":
        if not policy.threshold.enable:
            return f"CPU suppress holds best-effort work down, and {threshold} has no enable: true"
        if controllers.cpu_suppress.mode != "enforce":
            return f"CPU suppress holds best-effort work down, and cpuSuppress has mode {controllers.cpu_suppress.mode}"
    if controllers.noisy_neighbour == "evict" and controllers.evict.mode != "enforce":
        return f"evict has mode {controllers.evict.mode}"
    return ""
