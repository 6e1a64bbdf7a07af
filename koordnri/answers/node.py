"""`GET /v1/node`: this node in the shape of a `--node` file (koordnri.cli.node_file), so that a decision can be repeated at a desk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from koordnri.model import NodeState
from koordnri.model.node import Pool, Resctrl
from koordnri.model.topology import Topology


def described(node: NodeState) -> Mapping[str, Any]:
    """The node. Left out: what a `--node` file cannot say, such as files that this kernel lacks; and share pools that this node computes,
    since whoever reads the file computes them again.
    """
    published = not node.pools_are_local
    shape: dict[str, Any] = {
        "name": node.name,
        "labels": dict(node.labels),
        "annotations": dict(node.annotations),
        "memory": node.memory_bytes,
        "pageSize": node.page_bytes,
        "cpuModel": node.cpu_model,
        "turbo": node.turbo,
        "cgroup": {"version": node.cgroup_version, "driver": node.cgroup_driver},
        "kubelet": {"cpuManagerPolicy": node.kubelet_cpu_policy, "reservedCPUs": str(node.kubelet_reserved)},
        "isolatedCPUs": str(node.isolated_cpus),
        "offlineCPUs": str(node.offline_cpus),
        "sharePools": list_pools(node.ls_pools if published else ()),
        "beSharePools": list_pools(node.be_pools if published else ()),
    }
    if node.topology is not None:
        shape["cpus"] = _cpus(node.topology)
    if node.pods_cpus is not None:
        shape["podsCPUs"] = str(node.pods_cpus)
    if node.resctrl is not None:
        shape["resctrl"] = _resctrl(node.resctrl)
    if node.block_devices is not None:
        shape["blockDevices"] = dict(node.block_devices)
    return shape


def _cpus(topology: Topology) -> list[dict[str, int]]:
    return [
        {"cpu": cpu.cpu, "core": cpu.core, "l3": cpu.l3, "numa": cpu.numa, "socket": cpu.socket}
        for cpu in topology.cpus
    ]


def list_pools(pools: Iterable[Pool]) -> list[dict[str, Any]]:
    """Share pools as in a `--node` file."""
    return [{"socket": pool.socket, "node": pool.numa, "cpuset": pool.cpus} for pool in pools]


def _resctrl(resctrl: Resctrl) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "cbmMask": f"{resctrl.cbm_mask:x}",
        "numClosids": resctrl.num_closids,
        "cacheIDs": list(resctrl.cache_ids),
        "groups": sorted(resctrl.groups),
        "memoryBandwidth": resctrl.bandwidth is not None,
        "managed": not resctrl.read_only,
    }
    return shape | ({"vendor": resctrl.vendor} if resctrl.vendor else {})
