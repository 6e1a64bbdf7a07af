"""The rows of `koordnri top`, of two samples: QoS class → pod → container, each level sorted.

    {"node", "classes": [{"class", FIGURES, "pods": [{"namespace", "name", "uid", "kubeQoS", FIGURES,
     "containers": [{"name", "id", "cpus": list, "exclusive": bool, FIGURES}]}]}]}

FIGURES: koordnri.cli.top_figures. A pod's row is its cgroup's, except what only its containers have; a class's row is the sum of its pods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from koordnri.cli.top_figures import Figures, added, between
from koordnri.cli.top_sample import UsageSample
from koordnri.model import CPUSet

SORT_KEYS: Mapping[str, Callable[[Figures], float | None]] = {
    "cpu": attrgetter("used_milli"),
    "memory": attrgetter("memory"),
    "throttled": attrgetter("throttled_ms_per_s"),
    "waiting": attrgetter("waiting_ms_per_s"),
}
"""Those of `kubectl top --sort-by` under its names, and two columns"""


class Row(NamedTuple):
    """A class, a pod or a container."""

    names: Mapping[str, Any]
    """the keys of the shape that identify it"""
    figures: Figures
    below: Sequence[Row] = ()

    @property
    def name(self) -> str:
        """Its name among its neighbours."""
        names = self.names
        return names.get("class") or "/".join(names[key] for key in ("namespace", "name") if key in names)


def rows_of(before: UsageSample, after: UsageSample, key: str) -> list[Row]:
    """The classes. `key`: one of SORT_KEYS; the highest first."""
    by_class: dict[str, list[Row]] = {}
    for pod in after.pods:
        if (row := _pod(pod, before, after, key)) is not None:
            by_class.setdefault(pod["class"], []).append(row)
    classes = [
        Row({"class": name}, added(pod.figures for pod in pods), _sorted(pods, key)) for name, pods in by_class.items()
    ]
    return _sorted(classes, key)


def as_json(sample: UsageSample, classes: Sequence[Row]) -> dict[str, Any]:
    """The shape of the module."""
    return {"node": sample.node, "classes": [_shape(row, ("pods", "containers")) for row in classes]}


def _shape(row: Row, levels: Sequence[str]) -> dict[str, Any]:
    shape = {**row.names, **row.figures.as_json()}
    if levels:
        shape[levels[0]] = [_shape(below, levels[1:]) for below in row.below]
    return shape


def _pod(pod: Mapping[str, Any], before: UsageSample, after: UsageSample, key: str) -> Row | None:
    """None when the pod's cgroup has vanished."""
    reading = after.readings.get(pod["cgroup"])
    if reading is None:
        return None
    rows = [row for one in pod["containers"] if (row := _container(one, before, after)) is not None]
    inside = added(row.figures for row in rows)
    own = between(before.readings.get(pod["cgroup"]), reading)
    throttled = [ms for ms in (own.throttled_ms_per_s, inside.throttled_ms_per_s) if ms is not None]
    figures = own._replace(
        requested_milli=inside.requested_milli,
        given_milli=_given(pod["containers"]),
        # Unlike the rest, a cgroup's figure is about its own quota only. Threads may be held back on both levels at the same time.
        throttled_ms_per_s=max(throttled, default=None),
        waiting_ms_per_s=inside.waiting_ms_per_s,
    )
    names = {name: pod[name] for name in ("namespace", "name", "uid", "kubeQoS")}
    return Row(names, figures, _sorted(rows, key))


def _container(container: Mapping[str, Any], before: UsageSample, after: UsageSample) -> Row | None:
    reading = after.readings.get(container["cgroup"])
    if reading is None:
        return None
    figures = between(before.readings.get(container["cgroup"]), reading)._replace(
        requested_milli=container["requestedMilli"], given_milli=container["givenMilli"]
    )
    return Row({name: container[name] for name in ("name", "id", "cpus", "exclusive")}, figures)


def _given(containers: Sequence[Mapping[str, Any]]) -> int | None:
    """The CPU of all containers. Several may have the same exclusive CPUs: those of a scheduler are the whole pod's."""
    shared = [one["givenMilli"] for one in containers if not one["exclusive"]]
    if None in shared:
        return None
    exclusive = {cpu for one in containers if one["exclusive"] for cpu in CPUSet.parse(one["cpus"])}
    return 1000 * len(exclusive) + int(sum(shared))


def _sorted(rows: Sequence[Row], key: str) -> list[Row]:
    value = SORT_KEYS[key]
    return sorted(rows, key=lambda row: (-(value(row.figures) or 0), row.name))
