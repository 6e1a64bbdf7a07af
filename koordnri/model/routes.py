"""The route of each field to a container or pod on one kind of node, or why there is none.

Computed once per node state, and looked up on the event path.
"""

from __future__ import annotations

from functools import lru_cache

from koordnri.model.field import Adjust
from koordnri.model.fields import ALL, RDT_CLOSID, Field

ADJUST = "adjust"
"""in the reply to CreateContainer"""
REPLY = "reply"
"""an update in the reply to an event or to Synchronize"""
WRITE = "write"
"""a cgroup file, written by the daemon itself"""
RECORD = "record"
"""an update outside of a reply to kubelet's request, by which the runtime's stored spec follows what was written"""
RESCTRL = "resctrl"
"""the daemon moves the container's threads into a resctrl group"""
CONTROL = "control"
"""a controller's value: written by the daemon itself like WRITE, on top of what is decided otherwise, and never recorded"""
OBSERVE = "observe"
"""not applied: the hook is only observed"""


class Refusal(str):
    """Why a field cannot be set; `explain` prints the text under `skipped`."""

    __slots__ = ()


Routes = dict[Field, str]
"""Field → route, or a Refusal."""


_KINDS = 16
"""Cache size, in kinds of nodes: a process sees one, a test a few."""


@lru_cache(_KINDS)
def field_files(version: int, present: frozenset[str]) -> dict[Field, str]:
    """Field → the cgroup file that carries it on such a node, "" for none. Shared: do not change it."""
    return {field: field.file(version, present) for field in ALL}


@lru_cache(_KINDS)
def container_routes(creating: bool, version: int, present: frozenset[str]) -> Routes:
    """Routes of a container's fields, at its creation or later. Shared: do not change them, nor those below.

    A `unified` entry on v1, or for a file that this kernel lacks, would keep the container from starting. So on v1 the file is written
    instead if it exists; other such fields are refused here.
    """
    routes: Routes = {}
    for field in ALL:
        if field.adjust in (Adjust.UNIFIED, Adjust.FILE) and not field.file(version, present):
            routes[field] = _no_file(field, version)
        elif field.adjust is Adjust.FILE or (field.adjust is Adjust.UNIFIED and version == 1):
            routes[field] = WRITE
        elif creating:
            routes[field] = ADJUST
        elif field.right and field.file(version, present):
            routes[field] = WRITE
        elif field.update:
            routes[field] = REPLY
        elif field.adjust is Adjust.RDT:
            routes[field] = RESCTRL
        elif field.right:
            routes[field] = Refusal(f"can only be set while the container is created, without --write {field.right}")
        else:
            routes[field] = Refusal("can only be set while the container is created: restart the pod")
    return routes


@lru_cache(_KINDS)
def pod_routes(version: int, present: frozenset[str]) -> Routes:
    """Routes of a pod's fields. NRI does not reach the pod's cgroup, so all are files."""
    return {f: WRITE if f.file(version, present) else _no_file(f, version) for f in ALL}


@lru_cache(_KINDS)
def host_routes(version: int, present: frozenset[str], no_resctrl: str = "") -> Routes:
    """Routes of a host application's fields: files, and its threads in a resctrl group. `no_resctrl`: why they cannot be moved."""
    return pod_routes(version, present) | {RDT_CLOSID: Refusal(no_resctrl) if no_resctrl else RESCTRL}


@lru_cache(_KINDS)
def root_routes(version: int, present: frozenset[str]) -> Routes:
    """Routes of the root cgroup's fields: only files that were seen there, because other files would limit the whole machine."""
    return {f: WRITE if (file := f.file(version, present)) and file in present else _no_file(f, version) for f in ALL}


def _no_file(field: Field, version: int) -> Refusal:
    if field.right:
        return Refusal(f"this kernel has no {field.v1}, or koordnri may not write it: --write {field.right}")
    if not field.v1 and not field.v2:
        return Refusal(f"{field.name} is not a cgroup setting")
    if version == 1:
        return Refusal(f"cgroup v1 has no {field.v2[0] if field.v2 else field.v1.partition('/')[2]}")
    return Refusal(f"this kernel has no {' or '.join(field.v2)}" if field.v2 else f"cgroup v2 has no {field.name}")
