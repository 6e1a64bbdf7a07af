"""Pods whose cgroup has vanished though the runtime did not report their end (containerd issue 8426)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

from koordnri.host.cgroup.writer import Writer

MOST_ENDED = 1000
"""Sandboxes that have ended and are remembered."""


class GonePods:
    """Used by the reconcile thread."""

    def __init__(self) -> None:
        self._there: set[str] = set()
        """pods whose cgroup has existed"""
        self._ended: OrderedDict[str, None] = OrderedDict()
        """pods that are gone and whose cgroup had existed; a container that was being created meanwhile brings one back"""

    def exists(self, pod_id: str) -> None:
        """The pod's cgroup exists."""
        self._there.add(pod_id)

    def was_gone(self, pod_id: str) -> bool:
        """Whether the pod was gone before."""
        return pod_id in self._ended

    def is_gone(self, pod_id: str, directory: str, writer: Writer) -> bool:
        """Whether the pod's cgroup has existed and does not exist now."""
        if writer.has(directory):
            self._there.add(pod_id)
            return False
        if pod_id not in self._there and pod_id not in self._ended:
            return False
        self._ended[pod_id] = None
        return True

    def keep(self, pod_ids: Collection[str]) -> None:
        """These are all pods; others that had a cgroup are gone."""
        there = set(pod_ids)
        self._ended.update(dict.fromkeys(self._there - there))
        self._there &= there
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)
