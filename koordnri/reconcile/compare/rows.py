"""The rows of a comparison and of a release.

The JSON shapes are contracts: keys may be added, never renamed.

    {"old": revision, "new": revision, "pods": number of compared pods, "containers": likewise,
     "differences": [{"namespace", "pod", "container", "class", "group", "field", "unit", "before", "after", "route", "recorded",
                      "reason"}],
     "remarks": [{"namespace", "pod", "container", "class", "hook", "message"}],
     "notes": [what the new policy does on this node that people may not expect]}

Running containers keep their exclusive CPUs. Exclusive CPUs that a policy would give or not give have the route `restart`, as if the pods
were created again one after the other.

`container` is null for the pod's own cgroup; `cpu.cpus` is then that of its sandbox, the pause container. `class` is null except for a
cgroup above the pods: then it has the Kubernetes class ("Guaranteed" is the cgroup of all pods, of whatever class; "root" that of all
cgroups), `namespace` and `pod` are "", and `container` is null. `group` is null except for the schemata of a resctrl group: then it has
its name, and `namespace` and `pod` are those of its pod if it is a pod's own group, else "". `before` and `after` are null where nothing is
known to be set: for a field of the creation nothing of ours, for a cgroup the value of kubelet or the runtime, for schemata no wanted
group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from koordnri.model.plain import plain_value
from koordnri.reconcile.compare.moves import Move

RESTART = "restart"
"""Route of a field that cannot change before the container is created again."""


class Difference(NamedTuple):
    """One field of one cgroup that would change. `container` is "" for the pod's own cgroup."""

    namespace: str
    pod: str
    container: str
    field: str
    """with its key, as in decisions"""
    unit: str
    before: Any
    after: Any
    route: str
    """`write`: the file, effective at once; `resctrl`: its threads change groups at once; or `restart`"""
    recorded: bool
    """whether it is also recorded in the runtime's stored spec, if the daemon has a route for that"""
    reason: str
    kube_class: str = ""
    """class of a cgroup above the pods; then namespace and pod are empty"""
    group: str = ""
    """resctrl group whose schemata change; with a pod if it is that pod's own group"""

    def as_json(self) -> dict[str, Any]:
        """The shape described in the module."""
        return _shape(self) | {"group": self.group or None}


class Remark(NamedTuple):
    """Why the differences may be incomplete: a hook that could not decide. `container` as in Difference."""

    namespace: str
    pod: str
    container: str
    hook: str
    message: str
    kube_class: str = ""

    def as_json(self) -> dict[str, Any]:
        """The shape described in the module."""
        return _shape(self)


class Comparison(NamedTuple):
    """Result of `compare`."""

    old: str
    """revision of the policy"""
    new: str
    pods: int
    containers: int
    differences: list[Difference]
    remarks: list[Remark]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """The shape described in the module."""
        return self._asdict() | {
            "differences": [d.as_json() for d in self.differences],
            "remarks": [r.as_json() for r in self.remarks],
        }


class Released(NamedTuple):
    """One field of one cgroup that was given back to kubelet, or could not be. Names as in Difference."""

    namespace: str
    pod: str
    container: str
    field: str
    before: Any
    after: Any
    """as read back from the file"""
    status: str
    """`restart`, or the outcome of the write: koordnri.host.cgroup.change.Status"""
    error: str = ""
    kube_class: str = ""

    @property
    def place(self) -> tuple[bool, str, str, str, str, str]:
        """Sort key: pods with their containers first, then the cgroups above."""
        return bool(self.kube_class), self.namespace, self.pod, self.kube_class, self.container, self.field

    def as_json(self) -> dict[str, Any]:
        """Keys as above; `container` is null for the pod's own cgroup, `class` except for a cgroup above the pods."""
        return _shape(self)


def _shape(row: Difference | Remark | Released) -> dict[str, Any]:
    shape = {key: plain_value(value) for key, value in row._asdict().items()}
    kube_class = shape.pop("kube_class")
    return shape | {"container": row.container or None, "class": kube_class or None}


def difference(names: Mapping[str, str], container: str, move: Move, route: str, recorded: bool) -> Difference:
    return Difference(
        container=container,
        field=move.name,
        unit=move.setting.field.unit,
        before=move.before,
        after=move.after,
        route=route,
        recorded=recorded,
        reason=move.reason,
        **names,
    )
