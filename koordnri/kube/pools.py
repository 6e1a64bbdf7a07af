"""Watches Koordinator's share pools on the node's NodeResourceTopology, where koordlet writes them. The Node may carry them, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from koordnri.kube.api import Api
from koordnri.kube.objects import Object
from koordnri.kube.resource import Resource, itself
from koordnri.kube.watch import Watch
from koordnri.model.log import Log
from koordnri.model.node_annotations import BE_POOLS_KEY, LS_POOLS_KEY

KIND = "NodeResourceTopology"
PATH = "/apis/topology.node.k8s.io/v1alpha1/noderesourcetopologies"
KEPT = (LS_POOLS_KEY, BE_POOLS_KEY)


class PoolsWatch:
    """Calls `on_pools(annotations)` in its own thread: after the first answer, and then whenever one of the pools changed.

    `annotations` are those of KEPT that the object has; empty when there is no such object, or when the API has no such kind.
    The object is named as the node. `watch` is what the caller starts and stops; keywords are passed to it.
    """

    def __init__(
        self, api: Api, name: str, on_pools: Callable[[Mapping[str, str]], None], log: Log, **keywords: Any
    ) -> None:
        self._name = name
        self._on_pools = on_pools
        self._known: Mapping[str, str] | None = None
        resource = Resource("noderesourcetopology", PATH, KIND, Object, itself, f"metadata.name={name}", optional=True)
        self.watch = Watch(api, resource, self, log, **keywords)

    def replaced(self, objects: Sequence[Object]) -> None:
        """Sink."""
        self._take(next((pools_of(item) for item in objects if item.metadata.name == self._name), {}))

    def changed(self, item: Object) -> None:
        """Sink."""
        if item.metadata.name == self._name:
            self._take(pools_of(item))

    def deleted(self, item: Object) -> None:
        """Sink."""
        if item.metadata.name == self._name:
            self._take({})

    def _take(self, pools: Mapping[str, str]) -> None:
        if pools != self._known:
            self._known = pools
            self._on_pools(pools)


def pools_of(item: Object) -> dict[str, str]:
    """Its annotations that are pools."""
    annotations = item.metadata.annotations or {}
    return {key: annotations[key] for key in KEPT if key in annotations}
