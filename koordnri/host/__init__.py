"""The only room that reads and writes /sys, /proc, cgroupfs and resctrl. Its root directory can be replaced.

Belongs here: one file per kind of fact, which turns files into values of the model. Does not belong here: decisions, and what the API
server knows (labels, annotations, allocatable memory, pools). Bad content never raises here: an unreadable or malformed file costs
that one fact, and a text in `NodeState.problems` names the path, the value and what was expected.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from koordnri.host.blockio_classes import read_blockio_classes
from koordnri.host.cgroups import (
    read_driver,
    read_nsdelegate,
    read_pods_cpus,
    read_read_only,
    read_right_files,
    read_root_files,
    read_v1_files,
    read_v2_files,
    read_version,
)
from koordnri.host.cpu_model import read_cpu_model, read_turbo
from koordnri.host.devices import read_storage
from koordnri.host.files import HostFiles
from koordnri.host.gpus import read_gpu_numa_nodes
from koordnri.host.kubelet import read_cpu_policy
from koordnri.host.kubelet_config import read_reserved_cpus
from koordnri.host.memory import page_bytes, read_memory_bytes
from koordnri.host.memory_nodes import read_memory_nodes
from koordnri.host.oci_hooks import read_oci_hooks
from koordnri.host.pod_volumes import read_pod_volumes
from koordnri.host.rdma import read_rdma_cm, read_rdma_devices
from koordnri.host.resctrl import read_groups, read_resctrl
from koordnri.host.sched_features import read_sched_features
from koordnri.host.topology import read_isolated, read_offline, read_online, read_topology
from koordnri.model import CPUSet, NodeState

MOST_PROBLEMS = 20
"""Most problems reported: a broken /sys with hundreds of CPUs must not fill the log."""


def read_node(root: Path, name: str, writes: frozenset[str] = frozenset()) -> NodeState:
    """Everything that the host's files say about the node.

    root     directory under which the host's /sys and /proc are
    writes   what else of the host the daemon may write (`--write`)
    """
    # No file says what the runtime does with CDI devices. Until it is known, none are sent.
    return NodeState(
        name=name, no_cdi="what the runtime does with CDI devices is not known", writes=writes, **_facts(root, writes)
    )


def refresh(state: NodeState, root: Path, full: bool) -> NodeState:
    """The state with the host's present facts; the same object when none has changed. Facts from elsewhere are kept.

    full    read everything again. Otherwise check only what can make a decision harmful before the next full reading: resctrl groups
            that vanished (a container that names one does not start), cpusets that became read-only, CPUs that went online or offline or
            that the cgroup of all pods lost or got back, and RDMA devices, whose numbers a reloaded driver reassigns
    """
    if not full:
        files = HostFiles(root)
        online = None if state.topology is None else state.topology.online
        read_only = read_read_only(files, state.cgroup_version, state.cgroup_driver)
        if read_online(files) == online and read_only == state.cgroup_read_only:
            return _with_rdma(_with_groups(_with_pods_cpus(state, files), read_groups(files)), files)
    facts = _facts(root, state.writes)
    if all(getattr(state, fact) == value for fact, value in facts.items()):
        return state
    return replace(state, **facts)


def _with_pods_cpus(state: NodeState, files: HostFiles) -> NodeState:
    cpus = read_pods_cpus(files, state.cgroup_version, state.cgroup_driver)
    return state if cpus == state.pods_cpus else replace(state, pods_cpus=cpus)


def _with_rdma(state: NodeState, files: HostFiles) -> NodeState:
    if not state.rdma_devices:
        return state  # new devices are harmless
    devices = read_rdma_devices(files)
    return state if devices == state.rdma_devices else replace(state, rdma_devices=devices)


def _with_groups(state: NodeState, groups: frozenset[str] | None) -> NodeState:
    if state.resctrl is None:
        return state  # newly mounted is harmless, and the next full reading finds it
    if groups is None:
        return replace(state, resctrl=None)
    if groups == state.resctrl.groups:
        return state
    return replace(state, resctrl=replace(state.resctrl, groups=groups))


def _facts(root: Path, writes: frozenset[str]) -> dict[str, Any]:
    """The fields of NodeState that come from this room."""
    files = HostFiles(root)
    version = read_version(files)
    policy, kubelet_cpus = read_cpu_policy(files)
    of_processes, of_host = read_right_files(files, writes)
    facts: dict[str, Any] = {
        "topology": (topology := read_topology(files)),
        # If nothing is known, assume v2 without any file: then every hook leaves the cgroup's files alone.
        "cgroup_version": version or 2,
        "cpu_model": read_cpu_model(files),
        "turbo": read_turbo(files),
        "cgroup_driver": (driver := read_driver(files, version)),
        "pods_cpus": read_pods_cpus(files, version, driver),
        "cgroup_read_only": read_read_only(files, version, driver),
        "isolated_cpus": read_isolated(files),
        "offline_cpus": read_offline(files, topology),
        "cgroup_files": (read_v2_files(files) if version == 2 else read_v1_files(files)) | of_processes,
        "resctrl": read_resctrl(files),
        "root_files": read_root_files(files, version) | of_host,
        "sched_features": read_sched_features(files) if "sysctls" in writes else None,
        "block_devices": (storage := read_storage(files)).devices,
        "volume_groups": storage.volume_groups,
        "pod_volumes": read_pod_volumes(files, storage),
        "disks_below": storage.below(),
        "blockio_classes": read_blockio_classes(files),
        "memory_bytes": read_memory_bytes(files),
        "memory_nodes": read_memory_nodes(files),
        "page_bytes": page_bytes(),
        "gpu_numa_nodes": read_gpu_numa_nodes(files),
        "rdma_devices": read_rdma_devices(files),
        "rdma_cm": read_rdma_cm(files),
        "oci_hooks": read_oci_hooks(files),
        "cgroup_nsdelegate": read_nsdelegate(files),
        "kubelet_reserved": read_reserved_cpus(files),
        "kubelet_cpu_policy": policy,
        "kubelet_cpus": kubelet_cpus if policy == "static" else CPUSet(),
    }
    problems = files.problems
    if len(problems) > MOST_PROBLEMS:
        problems = [*problems[:MOST_PROBLEMS], f"and {len(problems) - MOST_PROBLEMS} more"]
    facts["problems"] = tuple(problems)
    return facts
