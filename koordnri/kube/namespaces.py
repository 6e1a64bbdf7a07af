"""Watches all Namespaces, for trust rules that select them by their labels. Nothing but name and labels is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from koordnri.kube.api import Api
from koordnri.kube.objects import Object
from koordnri.kube.resource import Resource, itself
from koordnri.kube.watch import Watch
from koordnri.model.log import Log


class NamespaceWatch:
    """Calls `on_labels()` in its own thread: after the first list, and then whenever `labels` changed. `watch` is what the caller starts
    and stops; keywords are passed to it.
    """

    def __init__(self, api: Api, on_labels: Callable[[], None], log: Log, **keywords: Any) -> None:
        self.labels: Mapping[str, Mapping[str, str]] = {}
        """name of a namespace → its labels; replaced whole, so any thread may read it"""
        self._on_labels = on_labels
        self._delivered = False
        resource = Resource("namespaces", "/api/v1/namespaces", "Namespace", Object, itself, "")
        self.watch = Watch(api, resource, self, log, **keywords)

    def replaced(self, objects: Sequence[Object]) -> None:
        """Sink."""
        self._take({item.metadata.name: item.metadata.labels or {} for item in objects})

    def changed(self, item: Object) -> None:
        """Sink."""
        self._take({**self.labels, item.metadata.name: item.metadata.labels or {}})

    def deleted(self, item: Object) -> None:
        """Sink."""
        self._take({name: labels for name, labels in self.labels.items() if name != item.metadata.name})

    def _take(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        if self._delivered and labels == self.labels:
            return
        self.labels, self._delivered = labels, True
        self._on_labels()
