"""Watches one ConfigMap: reports its data whenever they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from koordnri.kube.api import Api
from koordnri.kube.objects import Object
from koordnri.kube.resource import Resource, itself
from koordnri.kube.watch import Watch
from koordnri.model.log import Log


class ConfigMap(Object):
    """`binaryData` is not read: no policy is kept there."""

    data: dict[str, str] | None = None


OnData = Callable[[Mapping[str, str] | None, str], None]


class ConfigMapWatch:
    """Calls `on_data(data, resource_version)` in its own thread. data is None when there is no such ConfigMap.

    It is called once after the first list, and then whenever the data differ from those of the last call. Other changes (labels,
    managedFields) are ignored. `watch` is what the caller starts and stops; keywords are passed to it.
    """

    def __init__(self, api: Api, namespace: str, name: str, on_data: OnData, log: Log, **keywords: Any) -> None:
        self._name = name
        self._on_data = on_data
        self._known: Mapping[str, str] | None = None
        self._delivered = False
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/configmaps"
        resource = Resource("configmap", path, "ConfigMap", ConfigMap, itself, f"metadata.name={name}")
        self.watch = Watch(api, resource, self, log, **keywords)

    def replaced(self, objects: Sequence[ConfigMap]) -> None:
        """Sink."""
        mine = next((item for item in objects if item.metadata.name == self._name), None)
        if mine is None:
            self._take(None, "")
        else:
            self.changed(mine)

    def changed(self, item: ConfigMap) -> None:
        """Sink."""
        if item.metadata.name == self._name:
            self._take(item.data or {}, item.metadata.resource_version)

    def deleted(self, item: ConfigMap) -> None:
        """Sink."""
        if item.metadata.name == self._name:
            self._take(None, item.metadata.resource_version)

    def _take(self, data: Mapping[str, str] | None, version: str) -> None:
        if self._delivered and data == self._known:
            return
        self._known, self._delivered = data, True
        self._on_data(data, version)
