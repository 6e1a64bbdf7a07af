"""`GET /v1/shares`: how cache, memory bandwidth and memory of the node are divided.

    {"cache": {"offered": whether the CPU can divide any, and resctrl is mounted, "problem": why nothing is divided, "" when it can be,
               "groups": [{"group", "class", "pod": NAMESPACE/NAME, "" for a class, "schemata": [line], "refused": why it does not exist}],
               "use": [{"class", "cache": id, "bytes"}]},
     "memory": {"totalBytes": 0 when unknown,
                "classes": [{"class", "containers", "minBytes", "lowBytes", "limitBytes", "unlimited": containers without a limit}]}}

`groups` are those that policy and pods ask for, in the order in which they are made. `use` is what the last sweep read of the monitors,
with the pods' own groups. The bytes of memory are sums over the running containers: what the kernel never takes away (memory.min), what it
takes last (memory.low), and the limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from koordnri.answers.containers import present_value
from koordnri.model import UNLIMITED, NodeState, Pod, fields
from koordnri.model.fields import Field
from koordnri.model.schemata import line
from koordnri.resctrl.groups import ResctrlGroups
from koordnri.resctrl.plan import WantedGroup
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger

_SUMS = {"minBytes": fields.MEMORY_MIN, "lowBytes": fields.MEMORY_LOW, "limitBytes": fields.MEMORY_LIMIT}


def list_shares(ledger: Ledger, node: NodeState, groups: ResctrlGroups) -> Mapping[str, Any]:
    """The shape of the module. Any thread may ask."""
    return {"cache": _cache(node, groups), "memory": _memory(ledger.pods(), ledger.entries(), node)}


def _cache(node: NodeState, groups: ResctrlGroups) -> dict[str, Any]:
    resctrl, refused = node.resctrl, groups.refused
    return {
        "offered": resctrl is not None,
        "problem": "" if resctrl is None else resctrl.read_only,
        "groups": [] if resctrl is None else [_group(n, g, refused) for n, g in groups.wanted.groups.items()],
        "use": [
            {"class": qos, "cache": cache, "bytes": used}
            for (qos, cache), used in sorted(groups.stats.occupancy_bytes.items())
        ],
    }


def _group(name: str, group: WantedGroup, refused: Mapping[str, str]) -> dict[str, Any]:
    return {
        "group": name,
        "class": group.qos,
        "pod": "" if group.pod is None else f"{group.pod.namespace}/{group.pod.name}",
        "schemata": [line(resource, values).strip() for resource, values in group.schemata.lines.items()],
        "refused": refused.get(name, ""),
    }


def _memory(pods: Iterable[Pod], entries: Iterable[Entry], node: NodeState) -> dict[str, Any]:
    by_id = {pod.id: pod for pod in pods}
    classes: dict[str, dict[str, Any]] = {}
    for entry in entries:
        pod = by_id.get(entry.pod_id)
        if pod is None or entry.ended:
            continue
        name = pod.qos_or_default.value
        row = classes.setdefault(name, {"class": name, "containers": 0, **dict.fromkeys(_SUMS, 0), "unlimited": 0})
        row["containers"] += 1
        row["unlimited"] += not _bytes(entry, fields.MEMORY_LIMIT, node)
        for key, field in _SUMS.items():
            row[key] += _bytes(entry, field, node)
    return {"totalBytes": node.memory_bytes, "classes": [classes[name] for name in sorted(classes)]}


def _bytes(entry: Entry, field: Field, node: NodeState) -> int:
    """0 for none, and for no limit."""
    value = present_value(entry, field)
    if not isinstance(value, int) or value == UNLIMITED or value >= node.no_limit_bytes > 0:
        return 0
    return max(value, 0)
