"""Merges the plugins' updates of containers: each change is claimed, and shown to the plugins that come later.

It behaves as Go's adaptation at NRI 0.12 does (nri.md 2.6 and 4), oddities included, because a plugin can notice them.
"""

from __future__ import annotations

from collections.abc import Iterable

from koordnri.runtime.errors import Conflict
from koordnri.runtime.owners import Owners
from koordnri.wire import api_pb2 as api

_MEMORY = (
    ("limit", api.MemLimit),
    ("reservation", api.MemReservation),
    ("swap", api.MemSwapLimit),
    ("kernel", api.MemKernelLimit),
    ("kernel_tcp", api.MemTCPLimit),
    ("swappiness", api.MemSwappiness),
    ("disable_oom_killer", api.MemDisableOomKiller),
    ("use_hierarchy", api.MemUseHierarchy),
)
_CPU = (
    ("shares", api.CPUShares),
    ("quota", api.CPUQuota),
    ("period", api.CPUPeriod),
    ("realtime_runtime", api.CPURealtimeRuntime),
    ("realtime_period", api.CPURealtimePeriod),
)
_CPU_TEXTS = (("cpus", api.CPUSetCPUs), ("mems", api.CPUSetMems))
_CLASSES = (("blockio_class", api.BlockioClass), ("rdt_class", api.RdtClass))


def claim_resources(
    owners: Owners, container_id: str, plugin: str, asked: api.LinuxResources, targets: Iterable[api.LinuxResources]
) -> None:
    """Claim what `asked` sets, and set it in every target. Raises Conflict; the fields before the conflict stay set."""
    targets = tuple(targets)
    _claim_numbers(owners, container_id, plugin, asked, targets)
    for name, field in _CPU_TEXTS:
        if value := getattr(asked.cpu, name):
            owners.claim(container_id, field, plugin)
            for target in targets:
                setattr(target.cpu, name, value)
    for limit in asked.hugepage_limits:
        owners.claim(container_id, api.HugepageLimits, plugin, limit.page_size)
        for target in targets:
            target.hugepage_limits.add().CopyFrom(limit)
    for key, value in sorted(asked.unified.items()):
        owners.claim(container_id, api.CgroupsUnified, plugin, key)
        for target in targets:
            target.unified[key] = value
    for name, field in _CLASSES:
        if asked.HasField(name):  # type: ignore[arg-type]  # the stub wants literals
            owners.claim(container_id, field, plugin)
            for target in targets:
                getattr(target, name).CopyFrom(getattr(asked, name))
                getattr(target, name).SetInParent()


def _claim_numbers(
    owners: Owners, container_id: str, plugin: str, asked: api.LinuxResources, targets: Iterable[api.LinuxResources]
) -> None:
    """Of memory and CPU, what is a message of its own and so may be there or not."""
    for group, table in (("memory", _MEMORY), ("cpu", _CPU)):
        if not asked.HasField(group):  # type: ignore[arg-type]  # the stub wants literals
            continue
        source = getattr(asked, group)
        for name, field in table:
            if source.HasField(name):
                owners.claim(container_id, field, plugin)
                for target in targets:
                    getattr(getattr(target, group), name).CopyFrom(getattr(source, name))
                    getattr(getattr(target, group), name).SetInParent()


class Updates:
    """Updates that the plugins of one request ask for: of the request's own container, and of others."""

    def __init__(
        self, owners: Owners, request: api.UpdateContainerRequest | None = None, creating: str | None = None
    ) -> None:
        """Later plugins see `request` as earlier plugins changed it. The container `creating` must not be updated."""
        self.others: dict[str, api.ContainerUpdate] = {}
        """container id → merged update, in the order in which plugins first named them"""
        self.own: api.ContainerUpdate | None = None
        """of the container of an UpdateContainer; it REPLACES kubelet's request"""
        self._owners = owners
        self._request = request
        self._creating = creating

    def apply(self, updates: Iterable[api.ContainerUpdate], plugin: str) -> None:
        """Merge one reply's updates. Raises Conflict."""
        for update in updates:
            merged = self._merged(update, plugin)
            try:
                self._merge(merged, update, plugin)
            except Conflict:
                if not update.ignore_failure:
                    raise

    def _is_own(self, container_id: str) -> bool:
        return self._request is not None and self._request.container.id == container_id

    def _merged(self, update: api.ContainerUpdate, plugin: str) -> api.ContainerUpdate:
        container_id = update.container_id
        if container_id == self._creating:
            raise Conflict(f'plugin "{plugin}" asked update of "{container_id}" during creation')
        known = self.own if self._is_own(container_id) else self.others.get(container_id)
        if known is not None:
            known.ignore_failure = known.ignore_failure and update.ignore_failure
            return known
        new = api.ContainerUpdate(container_id=container_id, ignore_failure=update.ignore_failure)
        new.linux.resources.SetInParent()
        if self._is_own(container_id):
            self.own = new
        else:
            self.others[container_id] = new
        return new

    def _merge(self, merged: api.ContainerUpdate, update: api.ContainerUpdate, plugin: str) -> None:
        if not update.linux.HasField("resources"):
            return
        # Merged in a copy, so that an ignored failure leaves no half-applied update.
        result = api.LinuxResources()
        request = self._request if self._is_own(update.container_id) else None
        result.CopyFrom(merged.linux.resources if request is None else request.linux_resources)
        claim_resources(self._owners, update.container_id, plugin, update.linux.resources, [result])
        # Of an update Go ignores device rules, and looks for pids in what was there before: so it loses those of the plugin, and claims
        # those that kubelet asks for, for every plugin that updates the container.
        if result.HasField("pids"):
            self._owners.claim(update.container_id, api.PidsLimit, plugin)
        merged.linux.resources.CopyFrom(result)
        if request is not None:
            request.linux_resources.CopyFrom(result)
