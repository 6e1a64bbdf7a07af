"""Watches this Node: its labels and annotations, which select policies and carry Koordinator's settings, and its allocatable memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from koordnri.kube.api import Api
from koordnri.kube.node_annotation import KEY
from koordnri.kube.objects import Object
from koordnri.kube.resource import Resource, itself
from koordnri.kube.watch import Watch
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, MID_CPU, MID_MEMORY
from koordnri.model.log import Log
from koordnri.model.quantity import quantity_milli, quantity_value


class NodeStatus(msgspec.Struct):
    """`status`."""

    capacity: dict[str, str] = {}
    allocatable: dict[str, str] = {}


class Node(Object):
    """A Node. Most of its status (30 KB of images and conditions) is skipped."""

    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a decision may read of the Node. The default is for a node whose Node object is not known."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    allocatable_memory_bytes: int = 0
    """0: unknown"""
    uid: str = ""


class Amounts(NamedTuple):
    """What controllers may know of the Node. koord-manager writes the batch and mid resources every minute."""

    batch_milli: int | None = None
    """batch-cpu that it offers; None: none, or unknown"""
    batch_bytes: int | None = None
    """the same of batch-memory"""
    mid_milli: int | None = None
    """the same of mid-cpu"""
    mid_bytes: int | None = None
    """the same of mid-memory"""
    reserved_milli: int = 0
    """CPU that kubelet keeps from pods: capacity less allocatable; 0: none, or unknown"""


class NodeWatch:
    """Calls `on_facts` in its own thread: after the first list, and then whenever a fact changed. Heartbeats are ignored.

    None: there is no such Node; it is not registered yet, or `name` is wrong. `watch` is what the caller starts and stops; keywords are
    passed to it.
    """

    def __init__(
        self, api: Api, name: str, on_facts: Callable[[NodeFacts | None], None], log: Log, **keywords: Any
    ) -> None:
        self.facts: NodeFacts | None = None
        self.published = ""
        """the annotation that koordnri itself keeps there (koordnri.kube.node_annotation). It is no fact: no decision depends on it"""
        self.amounts = Amounts()
        """no fact either: controllers read it when they need it"""
        self._name = name
        self._on_facts = on_facts
        self._delivered = False
        resource = Resource("node", "/api/v1/nodes", "Node", Node, itself, f"metadata.name={name}")
        self.watch = Watch(api, resource, self, log, **keywords)

    def replaced(self, objects: Sequence[Node]) -> None:
        """Sink."""
        for item in objects:
            if item.metadata.name == self._name:
                self.changed(item)
                return
        self._take(None)

    def changed(self, item: Node) -> None:
        """Sink."""
        if item.metadata.name == self._name:
            self.amounts = Amounts(
                batch_milli=_amount(item, BATCH_CPU),
                batch_bytes=_amount(item, BATCH_MEMORY),
                mid_milli=_amount(item, MID_CPU),
                mid_bytes=_amount(item, MID_MEMORY),
                reserved_milli=_reserved_milli(item.status),
            )
            self._take(facts_of(item), (item.metadata.annotations or {}).get(KEY, ""))

    def deleted(self, item: Node) -> None:
        """Sink."""
        if item.metadata.name == self._name:
            self._take(None)

    def _take(self, facts: NodeFacts | None, published: str = "") -> None:
        self.published = published
        if self._delivered and facts == self.facts:
            return
        self.facts, self._delivered = facts, True
        self._on_facts(facts)


def facts_of(node: Node) -> NodeFacts:
    """The facts of a Node. A memory quantity that cannot be parsed counts as unknown."""
    memory_bytes = _amount(node, "memory") or 0
    metadata = node.metadata
    annotations = {key: text for key, text in (metadata.annotations or {}).items() if key != KEY}
    return NodeFacts(metadata.labels or {}, annotations, memory_bytes, metadata.uid)


def _amount(node: Node, resource: str) -> int | None:
    try:
        return max(0, quantity_value(node.status.allocatable[resource]))
    except (KeyError, ValueError):
        return None


def _reserved_milli(status: NodeStatus) -> int:
    try:
        return max(0, quantity_milli(status.capacity["cpu"]) - quantity_milli(status.allocatable["cpu"]))
    except (KeyError, ValueError):
        return 0
