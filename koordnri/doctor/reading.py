"""Reads the facts: the host's files below a root, this process's rights. Changes nothing and opens no socket."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from koordnri.doctor.agents import AGENTS
from koordnri.doctor.facts import (
    CONTAINERD,
    CRIO,
    Cgroups,
    DaemonFacts,
    Facts,
    KernelFacts,
    KubeletFacts,
    OurFacts,
    RuntimeConfig,
    RuntimeFacts,
)
from koordnri.doctor.runtime_config import (
    CONTAINERD_FILE,
    CRIO_DROP_INS,
    CRIO_FILE,
    BadConfig,
    read_containerd,
    read_crio,
)
from koordnri.doctor.versions import find_version
from koordnri.host import read_node
from koordnri.host.cgroups import read_version
from koordnri.host.files import HostFiles
from koordnri.host.processes import Process, read_processes
from koordnri.host.resctrl import read_groups
from koordnri.model import NodeState
from koordnri.wire.versions import CONTAINERD_NAMES, nri_version

_CGROUPS, _RESCTRL = "sys/fs/cgroup", "sys/fs/resctrl"
_LEAST_FREE_BYTES = 1 << 20
_MOST_BYTES = 1 << 20
_KUBELET_STATE = "var/lib/kubelet/cpu_manager_state"
"""Where koordnri.host.kubelet reads it; in the daemon's pod it is mounted there, wherever kubelet has it."""
_V1_CONTROLLERS = {"cpu": ("cpu", "cpu,cpuacct"), "cpuset": ("cpuset",), "memory": ("memory",), "io": ("blkio",)}
"""What the unified hierarchy calls it → directories of v1"""


def read_facts(root: Path, nri_socket: str, plugin_name: str, state_dir: Path, daemon: DaemonFacts) -> Facts:
    """All facts.

    root        directory under which the host's files are, as `--host-root` of `koordnri run`
    nri_socket  where the daemon looks for the runtime's NRI socket; this path is not below the root
    daemon      what the running daemon reports
    """
    files = HostFiles(root)
    node = read_node(root, "")
    processes = read_processes(files)
    found = files.exists("proc/self") and files.exists("sys/devices")
    expected = [
        p for p in node.problems if not p.startswith((f"{files.path(_CGROUPS)}:", f"{files.path(_CGROUPS)}/cpuset:"))
    ]
    return Facts(
        runtime=_runtime(files, processes, daemon),
        kubelet=_kubelet(files, processes, node),
        cgroups=_cgroups(files, node),
        kernel=_kernel(files, node),
        ours=OurFacts(
            uid=os.geteuid(),
            host_root=str(root),
            host_found=found,
            nri_socket=nri_socket,
            socket_found=_is_socket(nri_socket),
            plugin_name=plugin_name,
            state_dir=str(state_dir),
            state_problem=_state_problem(state_dir),
        ),
        daemon=daemon,
        agents=tuple(sorted({p.program for p in processes} & AGENTS.keys())),
        koordnri_pids=tuple(p.pid for p in processes if _is_koordnri(p)),
        node=node,
        problems=tuple(expected) if found else (),
    )


def _runtime(files: HostFiles, processes: Sequence[Process], daemon: DaemonFacts) -> RuntimeFacts:
    kind = _kind(files, processes, daemon)
    if not kind:
        return RuntimeFacts()
    program = "crio" if kind == CRIO else "containerd"
    binary = None if daemon.runtime_version else find_version(files, program, processes)
    version = daemon.runtime_version or (str(binary[1]) if binary else "")
    config, problem = _config(files, kind, processes)
    oci = {name: found for name in ("crun", "runc") if (found := find_version(files, name)) is not None}
    return RuntimeFacts(
        kind,
        version,
        nri_version(kind, version) if version else None,
        config,
        running=any(p.program == program for p in processes) if processes else None,
        config_problem=problem,
        oci=oci,
    )


def _kind(files: HostFiles, processes: Sequence[Process], daemon: DaemonFacts) -> str:
    """kubelet's runtime: the first that is known of these: the one of the daemon's registration, of kubelet's command line, a running one,
    a configured one.
    """
    if daemon.runtime_name:
        return CONTAINERD if daemon.runtime_name in CONTAINERD_NAMES else daemon.runtime_name
    endpoint = next((p.option("container-runtime-endpoint") for p in processes if p.program == "kubelet"), "")
    for kind, program in ((CRIO, "crio"), (CONTAINERD, "containerd")):
        if program in endpoint:
            return kind
    running = {p.program for p in processes}
    for kind, program, file in ((CRIO, "crio", CRIO_FILE), (CONTAINERD, "containerd", CONTAINERD_FILE)):
        if program in running or (not processes and files.exists(file)):
            return kind
    return next((kind for kind, file in ((CRIO, CRIO_FILE), (CONTAINERD, CONTAINERD_FILE)) if files.exists(file)), "")


def _config(files: HostFiles, kind: str, processes: Iterable[Process]) -> tuple[RuntimeConfig | None, str]:
    # Without a file, the runtime has its defaults; without /etc, we are in a pod that does not see the host's.
    default = RuntimeConfig(f"/{CRIO_DROP_INS}/10-nri.conf" if kind == CRIO else f"/{CONTAINERD_FILE}")
    missing = default if files.exists("etc") else None
    try:
        if kind == CRIO:
            return read_crio(files) or missing, ""
        given = [p.option("config") or p.option("c") for p in processes if p.program == "containerd"]
        # Docker's own containerd serves no kubelet.
        paths = [path.lstrip("/") for path in given if path and "/docker/" not in path]
        return read_containerd(files, paths[0] if paths else CONTAINERD_FILE) or missing, ""
    except BadConfig as error:
        return None, str(error)


def _kubelet(files: HostFiles, processes: Iterable[Process], node: NodeState) -> KubeletFacts:
    kubelet = next((p for p in processes if p.program == "kubelet"), Process(0, ("",)))
    root = kubelet.option("root-dir").strip("/") or "var/lib/kubelet"
    path = kubelet.option("config").lstrip("/") or f"{root}/config.yaml"
    content = _yaml(files, path)

    def setting(flag: str, key: str) -> str | None:
        value = kubelet.option(flag) or content.get(key)
        return value if isinstance(value, str) else None

    per_qos = kubelet.option("cgroups-per-qos") or content.get("cgroupsPerQOS")
    static = "static" in (node.kubelet_cpu_policy, setting("cpu-manager-policy", "cpuManagerPolicy"))
    return KubeletFacts(
        config_path=f"/{path}",
        cpu_policy="static" if static else "none",
        memory_policy=setting("memory-manager-policy", "memoryManagerPolicy"),
        cgroup_driver=setting("cgroup-driver", "cgroupDriver"),
        cgroups_per_qos=None if per_qos is None else per_qos not in (False, "false"),
        state_dir=f"/{root}",
        state_found=not kubelet.pid or files.exists(_KUBELET_STATE),
        state_replaced=_is_unlinked(files.path(_KUBELET_STATE)),
    )


def _cgroups(files: HostFiles, node: NodeState) -> Cgroups:
    version = read_version(files)
    tops = [_CGROUPS, f"{_CGROUPS}/cpu", f"{_CGROUPS}/cpu,cpuacct"]
    top = next((t for t in tops[1:] if files.exists(t)), _CGROUPS) if version == 1 else _CGROUPS
    return Cgroups(
        path=f"/{top}",
        version=version,
        driver=node.cgroup_driver,
        controllers=_controllers(files, version),
        read_only=node.cgroup_read_only,
        writable=_is_writable(files, top),
        both_drivers=all(any(files.exists(f"{t}/{name}") for t in tops) for name in ("kubepods", "kubepods.slice")),
    )


def _is_writable(files: HostFiles, top: str) -> bool:
    """Whether a file of a cgroup may be written. The root directory says nothing: its mode is 0555, and koordnri makes no cgroups."""
    names = (f"{top}/{directory}cgroup.procs" for directory in ("kubepods.slice/", "kubepods/", ""))
    name = next((name for name in names if files.exists(name)), None)
    return name is None or os.access(files.path(name), os.W_OK)


def _controllers(files: HostFiles, version: int | None) -> frozenset[str] | None:
    if version == 1:
        return frozenset(
            name for name, there in _V1_CONTROLLERS.items() if any(files.exists(f"{_CGROUPS}/{d}") for d in there)
        )
    for directory in ("kubepods.slice/", "kubepods/", "kubelet.slice/kubelet-kubepods.slice/", "kubelet/kubepods/", ""):
        text = files.text(f"{_CGROUPS}/{directory}cgroup.controllers")
        if text is not None:
            return frozenset(text.split())
    return None


def _kernel(files: HostFiles, node: NodeState) -> KernelFacts:
    path = files.path(_RESCTRL)
    return KernelFacts(
        resctrl_supported=files.exists(_RESCTRL),
        resctrl=node.resctrl,
        resctrl_mounted=read_groups(files) is not None,
        resctrl_writable=os.access(path, os.W_OK) and not files.is_read_only(_RESCTRL),
        # Where a boot parameter switches it off, the file is there and cannot be read.
        pressure=files.text("proc/pressure/cpu") is not None if files.exists("proc/self") else None,
        inotify_watches=files.number("proc/sys/fs/inotify/max_user_watches"),
    )


def _state_problem(state_dir: Path) -> str:
    """Why no state can be kept in the directory; "" when it can, or when the directory can be made."""
    there = next(path for path in (state_dir, *state_dir.absolute().parents) if path.exists())
    try:
        space = os.statvfs(there)
    except OSError as error:
        return f"{there}: {error.strerror}"
    if not there.is_dir():
        return f"{there} is no directory"
    if space.f_flag & os.ST_RDONLY:
        return f"{there} is mounted read-only"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} is not writable for user {os.geteuid()}"
    if space.f_bavail * space.f_frsize < _LEAST_FREE_BYTES:
        return f"the file system of {there} is full"
    return ""


def _is_koordnri(process: Process) -> bool:
    first, second, *_ = (*process.args, "")
    script = second if process.program.startswith("python") else first
    return script.rpartition("/")[2] == "koordnri" and "run" in process.args


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _is_unlinked(path: str) -> bool:
    try:
        return os.stat(path).st_nlink == 0
    except OSError:
        return False


def _yaml(files: HostFiles, path: str) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(files.text(path, _MOST_BYTES) or "")
    except (yaml.YAMLError, RecursionError):
        return {}  # kubelet does not start with such a file; no check is about that
    return content if isinstance(content, Mapping) else {}
