"""The cgroup directory of a pod, container or QoS class, from what the runtime reports.

All results are paths below a controller's root (v1: /sys/fs/cgroup/<controller>, v2: /sys/fs/cgroup), without a leading slash.
The runtime reports the pod's in several forms (nri.md 5.3, koordinator.md 10.1; CRI-O: internal/config/cgmgr):

    pod.linux.cgroup_parent   /kubepods/burstable/pod<uid>                            cgroupfs
                              /kubepods.slice/…/kubepods-burstable-pod<uid_>.slice    systemd, containerd
                              kubepods-burstable-pod<uid_>.slice                      systemd, CRI-O: the last part only

The form shows the driver: a name that ends in `.slice` is systemd's, by the runtimes' own rule. With systemd the last slice's name contains
the whole path, so only that counts. kubelet's `--cgroup-root` is part of the name and needs no handling.
"""

from __future__ import annotations

from functools import lru_cache

from koordnri.model import KubeQoS, NodeError

SYSTEMD = "systemd"
CGROUPFS = "cgroupfs"
ROOT_DIRECTORY = "."
"""The root of all cgroups. No runtime can report this one: see `_parts`."""
_SLICE = ".slice"
_CRIO = "cri-o"
"""CRI-O's name in NRI; all other runtimes name cgroups as containerd does"""
_SHOWN_CHARACTERS = 120
_REMEMBERED = 4096
"""Cache size: the same few hundred paths are computed at every pass."""


@lru_cache(_REMEMBERED)
def pod_directory(cgroup_parent: str) -> str:
    """The pod's cgroup. Raises NodeError when the runtime reported none, or one outside of the cgroup root."""
    where = "pod.linux.cgroup_parent"
    parts = _parts(cgroup_parent, where)
    if parts[-1].endswith(_SLICE):
        return _expand(parts[-1], where)
    return "/".join(parts)


@lru_cache(_REMEMBERED)
def container_directory(cgroup_parent: str, container_id: str, runtime: str) -> str:
    """The container's cgroup, by the naming rule of its runtime.

    runtime   its name in NRI: `containerd`, `cri-o`

    Raises NodeError for a path outside of the cgroup root. An OCI runtime may keep the processes one level deeper, see
    `inner_directory`.
    """
    name = _single(container_id, "container.id")
    pod = pod_directory(cgroup_parent)
    crio = runtime == _CRIO
    if pod.endswith(_SLICE):
        return f"{pod}/{'crio' if crio else 'cri-containerd'}-{name}.scope"
    return f"{pod}/crio-{name}" if crio else f"{pod}/{name}"


def inner_directory(container: str) -> str:
    """Where crun under the systemd driver keeps a container's processes and limits: below the scope, which belongs to systemd.

    It exists only with crun on v2. Limits count on both levels; the scope is the upper one.
    """
    return f"{container}/container"


def parent_directory(directory: str) -> str:
    """Parent cgroup: pod → QoS class, container → pod. Raises NodeError for a cgroup directly below the root."""
    parent = directory.rpartition("/")[0]
    if not parent:
        raise NodeError("cgroup", f'expected a cgroup with a parent of its own below the root, got "{directory}"')
    return parent


def class_directory(qos: KubeQoS, driver: str, cgroup_root: str = "") -> str:
    """The cgroup of all pods of a Kubernetes class. Guaranteed pods have no class cgroup: they are directly in the cgroup of all pods.

    driver        `systemd` or `cgroupfs`
    cgroup_root   kubelet's --cgroup-root in kubelet's form: `/a/b`, also under systemd

    Raises NodeError for another driver, or a root with "..". If a pod of the class is known, `parent_directory` gives the same without
    these arguments.
    """
    names = [*_parts(cgroup_root, "kubelet --cgroup-root", optional=True), "kubepods"]
    if qos is not KubeQoS.GUARANTEED:
        names.append(qos.lower())
    if driver == CGROUPFS:
        return "/".join(names)
    if driver == SYSTEMD:
        # kubelet replaces dashes in a name by underscores, since a dash means "one level down" to systemd.
        return _expand("-".join(n.replace("-", "_") for n in names) + _SLICE, "kubelet --cgroup-root")
    raise NodeError("cgroup driver", f'expected {SYSTEMD} or {CGROUPFS}, got "{driver}"')


def _expand(name: str, where: str) -> str:
    """`a-b-c.slice` → `a.slice/a-b.slice/a-b-c.slice` (systemd.slice(5))."""
    stem = name.removesuffix(_SLICE)
    words = stem.split("-")
    if stem == name or not all(words):
        raise NodeError(where, f"expected the name of a slice below the root, such as a-b.slice, got {_shown(name)}")
    return "/".join("-".join(words[: i + 1]) + _SLICE for i in range(len(words)))


def _parts(path: str, where: str, *, optional: bool = False) -> list[str]:
    """The names on the way down. Everything by which a path could lead out of the cgroup file system is refused."""
    parts = [part for part in path.split("/") if part]
    if not parts and not optional:
        raise NodeError(where, f"expected a cgroup below the root, got {_shown(path)}")
    if "." in parts or ".." in parts or not path.isprintable():
        raise NodeError(where, f'expected a path without ".", ".." and control characters, got {_shown(path)}')
    return parts


def _single(name: str, where: str) -> str:
    if not name or "/" in name or ":" in name or name in {".", ".."} or not name.isprintable():
        raise NodeError(where, f"expected one name without slash and colon, got {_shown(name)}")
    return name


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_CHARACTERS])
