"""One key of the ConfigMap: the cluster's strategy and the strategies of some nodes.

Koordinator writes it in two shapes:
    {"clusterStrategy": {…}, "nodeStrategies": [{"name", "nodeSelector", …fields}]}     threshold, qos, burst, system
    {…fields, "nodeConfigs": [{"name", "nodeSelector", …fields}]}                       host applications, normalization
In the first shape, fields without a clusterStrategy count as the cluster's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from koordnri.policy.errors import Mistake, shown
from koordnri.policy.overlap import never_taken
from koordnri.policy.reader import Document, read
from koordnri.policy.report import Report, report_repeated
from koordnri.policy.selector import NodeSelector

T = TypeVar("T", bound=Document)

WithoutEffect = Callable[[Any], Sequence[tuple[str, str]]]
"""value of a strategy → (path below it, message)…"""

_CLUSTER = "clusterStrategy"
_MOST_NAMED, _LONGEST_NAME = 3, 40
_CLUSTER_SUFFIX = " (clusterStrategy)"


class Shape(NamedTuple):
    """How a key is written, and its content."""

    defaults: Document
    nodes_key: str = "nodeStrategies"
    has_cluster_key: bool = True
    koordinators: bool = True
    """whether koord-manager reads it too"""


class NodeStrategy(msgspec.Struct, Generic[T], frozen=True):
    """The value for the nodes that the selector matches, already laid over the cluster's."""

    name: str
    selector: NodeSelector
    value: T


class Section(msgspec.Struct, Generic[T], frozen=True):
    """The cluster's value, and those of nodes that differ, in the order of the document."""

    cluster: T
    nodes: tuple[NodeStrategy[T], ...] = ()

    def matching(self, labels: Mapping[str, str]) -> list[int]:
        """Indices of the node strategies that match these labels. The first wins; without one, the cluster's value applies."""
        return [index for index, strategy in enumerate(self.nodes) if strategy.selector.matches(labels)]

    def label(self, nodes_key: str, index: int) -> str:
        """The strategy as messages name it: its place, and its name if it has one."""
        name = self.nodes[index].name
        return f"{nodes_key}[{index}]" + ("" if name == f"#{index}" else f" {shown(name)}")


def read_section(
    key: str,
    shape: Shape,
    raw: Any,
    mistakes: list[Mistake],
    warnings: list[Mistake],
    without_effect: WithoutEffect = lambda value: (),
) -> Section[Any]:
    """Read the value of one key. With mistakes, do not use the result.

    without_effect   finds the parts of a strategy without effect, for warnings
    """
    top = Report(key)
    section: Section[Any] = Section(shape.defaults)
    if isinstance(raw, dict):
        report_repeated(raw, (), top)
        section = _read_parts(key, shape, raw, without_effect, top)
    else:
        top.wrong((), f"expected a mapping, got {shown(raw)}")
    mistakes += top.mistakes
    warnings += top.warnings
    return section


def _read_parts(
    key: str, shape: Shape, raw: dict[str, Any], without_effect: WithoutEffect, top: Report
) -> Section[Any]:
    special = {shape.nodes_key, _CLUSTER} if shape.has_cluster_key else {shape.nodes_key}
    parts, inline = _split(raw, special, (), top)
    type_ = type(shape.defaults)
    if parts.get(_CLUSTER) is not None:
        report = Report(key, _CLUSTER_SUFFIX)
        cluster = read(type_, parts[_CLUSTER], report, shape.defaults)
        beside = f"ignored, as it stands beside {_CLUSTER} and not in it"
        for name in inline:
            if type_.__struct_config__.forbid_unknown_fields:
                top.wrong(((), name), beside)
            else:
                top.warn(((), name), beside)
    else:
        report = Report(key)
        cluster = read(type_, inline, report, shape.defaults)
        if inline and shape.has_cluster_key and shape.koordinators:
            top.warn(
                (),
                f"koord-manager ignores what stands outside of {_CLUSTER}, {_some(inline)} here; koordnri takes it as if in it",
            )
    idle = () if report.mistakes else without_effect(cluster)
    for path, message in idle:
        report.warn(((), path), message)
    top.mistakes += report.mistakes
    top.warnings += report.warnings

    nodes = parts.get(shape.nodes_key)
    if nodes is None:
        return Section(cluster)
    if not isinstance(nodes, list):
        top.wrong(((), shape.nodes_key), f"expected a list, got {shown(nodes)}")
        return Section(cluster)
    # Laid over a faulty cluster strategy, each node would repeat its mistakes.
    base = shape.defaults if report.mistakes else cluster
    strategies = [_read_node(item, base, (((), shape.nodes_key), index), top) for index, item in enumerate(nodes)]
    for index, strategy in enumerate(strategies):
        found = () if strategy is None or top.mistakes else without_effect(strategy.value)
        for path, message in found:
            if (path, message) not in idle:
                top.warn((((((), shape.nodes_key), index)), path), message)
    section = Section(cluster, tuple(strategy for strategy in strategies if strategy is not None))
    if not top.mistakes:
        _look_for_hidden(section, shape.nodes_key, top)
    return section


def _some(names: Mapping[str, Any]) -> str:
    words = [shown(name[:_LONGEST_NAME]) for name in list(names)[:_MOST_NAMED]]
    return ", ".join(words) + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")


def _look_for_hidden(section: Section[Any], nodes_key: str, top: Report) -> None:
    """Warn of strategies that no node will ever use, and of names that are not unique."""
    names: dict[str, int] = {}
    for index, strategy in enumerate(section.nodes):
        first = names.setdefault(strategy.name, index)
        if first != index:
            top.warn(
                ((((), nodes_key), index), "name"), f"{nodes_key}[{first}] has the same name {shown(strategy.name)}"
            )
    for index, earlier in never_taken([strategy.selector for strategy in section.nodes]):
        why = "no node can satisfy it"
        if earlier is not None:
            why = f"{section.label(nodes_key, earlier)} comes first and matches every node that this one matches"
        top.warn(((((), nodes_key), index), "nodeSelector"), f"never taken, as {why}")


def _read_node(raw: Any, base: Document, path: Any, top: Report) -> NodeStrategy[Any] | None:
    if not isinstance(raw, dict):
        top.wrong(path, f"expected a mapping, got {shown(raw)}")
        return None
    report_repeated(raw, path, top)
    parts, fields = _split(raw, {"name", "nodeSelector"}, path, top)
    name = parts.get("name")
    if name is not None and not isinstance(name, str):
        top.wrong((path, "name"), f"expected text, got {shown(name)}")
    selector = NodeSelector()
    if parts.get("nodeSelector") is None:
        top.wrong((path, "nodeSelector"), "expected matchLabels or matchExpressions, it is missing")
    else:
        before = len(top.mistakes)
        selector = read(NodeSelector, parts["nodeSelector"], top.at((path, "nodeSelector")))
        if len(top.mistakes) == before and selector.empty:
            top.wrong((path, "nodeSelector"), "expected matchLabels or matchExpressions, got neither")
    value = read(type(base), fields, top.at(path), base)
    return NodeStrategy(str(name or f"#{path[1]}"), selector, value)


def _split(raw: dict[str, Any], special: set[str], path: Any, top: Report) -> tuple[dict[str, Any], dict[str, Any]]:
    """The special keys in the spelling of `special`, and the rest."""
    spelling = {name.lower(): name for name in special}
    parts: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for key, value in raw.items():
        name = spelling.get(key.lower())
        if name is None:
            rest[key] = value
        elif name in parts:
            top.wrong((path, name), f"given twice, once as {shown(key)}; letter case does not distinguish keys")
        else:
            parts[name] = value
    return parts, rest
