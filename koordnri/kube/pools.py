"""Watches Koordinator's share pools on the node's NodeResourceTopology, where koordlet writes them. The Node may carry them, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from koordnri.kube.api import Api
from koordnri.kube.resource import Resource, itself
from koordnri.kube.topology_object import KIND, TopologyObject, collection, foreign_pools, writer_of
from koordnri.kube.watch import Watch
from koordnri.model.log import Log


class PoolsWatch:
    """Calls `on_pools(annotations)` in its own thread: after the first answer, and then whenever one of the pools changed.

    `annotations` are the share pools that the object has and that koordnri did not publish itself; empty when there is no such object, or
    when the API has no such kind. The object is named as the node. `watch` is what the caller starts and stops; keywords are passed to it.

    on_writer   called with who writes the object (`writer_of`), whenever it was seen
    """

    def __init__(
        self,
        api: Api,
        name: str,
        on_pools: Callable[[Mapping[str, str]], None],
        log: Log,
        on_writer: Callable[[str], None] = lambda writer: None,
        **keywords: Any,
    ) -> None:
        self._name = name
        self._on_pools = on_pools
        self._on_writer = on_writer
        self._known: Mapping[str, str] | None = None
        resource = Resource(
            "noderesourcetopology",
            collection("v1alpha1"),
            KIND,
            TopologyObject,
            itself,
            f"metadata.name={name}",
            optional=True,
        )
        self.watch = Watch(api, resource, self, log, **keywords)

    def replaced(self, objects: Sequence[TopologyObject]) -> None:
        """Sink."""
        self._take(next((item for item in objects if item.metadata.name == self._name), None))

    def changed(self, item: TopologyObject) -> None:
        """Sink."""
        if item.metadata.name == self._name:
            self._take(item)

    def deleted(self, item: TopologyObject) -> None:
        """Sink."""
        if item.metadata.name == self._name:
            self._take(None)

    def _take(self, item: TopologyObject | None) -> None:
        pools = {} if item is None else foreign_pools(item)
        if pools != self._known:
            self._known = pools
            self._on_pools(pools)
        self._on_writer(writer_of(item))
