"""Merges the plugins' adjustments of one container: each change is claimed, and shown to the plugins that come later.

It behaves as Go's adaptation at NRI 0.12 does (nri.md 2.6 and 4), oddities included, because a plugin can notice them.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from koordnri.runtime.age import drop_from_adjustment
from koordnri.runtime.owners import Owners
from koordnri.runtime.updates import Updates, claim_resources
from koordnri.wire import api_pb2 as api
from koordnri.wire.optional import removal, split_removal
from koordnri.wire.versions import Feature, Version, has

_RDT = (
    ("clos_id", api.RdtClosID),
    ("schemata", api.RdtSchemata),
    ("enable_monitoring", api.RdtEnableMonitoring),
)
_PROCESS = (
    ("oom_score_adj", api.OomScoreAdj),
    ("io_priority", api.IoPriority),
    ("seccomp_policy", api.SeccompPolicy),
)
_HOOKS = ("prestart", "create_runtime", "create_container", "start_container", "poststart", "poststop")


class Adjustments:
    """Merges the replies to one CreateContainer. Each reply changes `request`; `adjust` is what the runtime will apply."""

    def __init__(self, request: api.CreateContainerRequest, version: Version) -> None:
        self.adjust = api.ContainerAdjustment()
        self.owners = Owners()
        self.updates = Updates(self.owners, creating=request.container.id)
        self._container = request.container
        self._version = version

    def apply(self, response: api.CreateContainerResponse, plugin: str) -> None:
        """Merge one reply. Raises Conflict: the container is not created."""
        if response.HasField("adjust"):
            drop_from_adjustment(response.adjust, self._version)
            self._adjust(response.adjust, plugin)
        self.updates.apply(response.update, plugin)

    def _claim(self, field: int, plugin: str, key: str = "") -> None:
        self.owners.claim(self._container.id, field, plugin, key)

    def _clear(self, field: int, plugin: str, key: str = "") -> None:
        self.owners.clear(self._container.id, field, plugin, key)

    def _adjust(self, new: api.ContainerAdjustment, plugin: str) -> None:
        container, adjust = self._container, self.adjust
        self._map(new.annotations, container.annotations, adjust.annotations, api.Annotations, plugin)
        # Before NRI 0.7 a plugin can remove only mounts that another plugin added, not those of the spec.
        self._list(
            new.mounts,
            container.mounts,
            adjust.mounts,
            api.Mounts,
            plugin,
            _destination,
            has(self._version, Feature.MOUNT_REMOVAL),
        )
        self._env(new, plugin)
        self._args(list(new.args), plugin)
        if new.HasField("hooks"):
            self._hooks(new.hooks, plugin)
        self._linux(new.linux, plugin)
        for limit in new.rlimits:
            self._claim(api.Rlimits, plugin, limit.type)
            container.rlimits.add().CopyFrom(limit)
            adjust.rlimits.add().CopyFrom(limit)
        for device in new.CDI_devices:
            self._claim(api.CdiDevices, plugin, device.name)
            adjust.CDI_devices.add().CopyFrom(device)

    def _linux(self, new: api.LinuxContainerAdjustment, plugin: str) -> None:
        # In Go's order: of several conflicts the first is reported.
        container, adjust = self._container.linux, self.adjust.linux
        self._list(new.devices, container.devices, adjust.devices, api.Devices, plugin, _path, False)
        self._resources(new.resources, plugin)
        if new.cgroups_path:
            self._claim(api.CgroupsPath, plugin)
            container.cgroups_path = adjust.cgroups_path = new.cgroups_path
        for name, field in _PROCESS:
            self._whole(new, name, field, plugin)
        self._namespaces(new, plugin)
        self._map(new.sysctl, container.sysctl, adjust.sysctl, api.Sysctl, plugin)
        self._net_devices(new, plugin)
        self._whole(new, "scheduler", api.LinuxSched, plugin)
        if new.HasField("rdt"):
            self._rdt(new.rdt, plugin)
        self._whole(new, "memory_policy", api.MemoryPolicy, plugin)

    def _whole(self, new: api.LinuxContainerAdjustment, name: str, field: int, plugin: str) -> None:
        """A message that is set as a whole."""
        if not new.HasField(name):  # type: ignore[arg-type]  # the stub wants literals
            return
        self._claim(field, plugin)
        for target in (self._container.linux, self.adjust.linux):
            if name in target.DESCRIPTOR.fields_by_name:  # a container does not show its memory policy
                getattr(target, name).CopyFrom(getattr(new, name))
                getattr(target, name).SetInParent()

    def _resources(self, new: api.LinuxResources, plugin: str) -> None:
        targets = (self._container.linux.resources, self.adjust.linux.resources)
        claim_resources(self.owners, self._container.id, plugin, new, targets)
        for rule in new.devices:
            for target in targets:
                target.devices.add().CopyFrom(rule)
        if new.HasField("pids"):
            self._claim(api.PidsLimit, plugin)
            for target in targets:
                target.pids.CopyFrom(new.pids)
                target.pids.SetInParent()

    def _map(
        self,
        new: MutableMapping[str, str],
        container: MutableMapping[str, str],
        adjust: MutableMapping[str, str],
        field: int,
        plugin: str,
    ) -> None:
        removed = {key for key, marked in map(split_removal, new) if marked}
        for key, value in sorted(new.items()):
            if split_removal(key)[1]:
                continue
            if key in removed:
                self._clear(field, plugin, key)
                container.pop(key, None)
                adjust[removal(key)] = ""
            self._claim(field, plugin, key)
            container[key] = adjust[key] = value
            removed.discard(key)
        for key in sorted(removed):
            adjust[removal(key)] = ""

    def _list(
        self,
        new: Any,
        container: Any,
        adjust: Any,
        field: int,
        plugin: str,
        key_of: Callable[[Any], str],
        forward_removal: bool,
    ) -> None:
        """Mounts and devices: entries with a key inside."""
        removals = {split_removal(key_of(e))[0]: e for e in new if split_removal(key_of(e))[1]}
        additions = [e for e in new if not split_removal(key_of(e))[1]]
        added = {key_of(e) for e in additions}
        kept = []
        for entry in adjust:
            if key_of(entry) in removals:
                self._clear(field, plugin, key_of(entry))
            else:
                kept.append(entry)
        _replace(adjust, kept)
        _replace(container, [e for e in container if key_of(e) not in removals and key_of(e) not in added])
        for entry in additions:
            self._claim(field, plugin, key_of(entry))
            adjust.add().CopyFrom(entry)
            container.add().CopyFrom(entry)
        if forward_removal:
            for key, entry in removals.items():
                if key not in added:
                    adjust.add().CopyFrom(entry)

    def _env(self, new: api.ContainerAdjustment, plugin: str) -> None:
        # A removal undoes what an earlier plugin set, and hides the variable from later plugins. A variable of the image or the pod's
        # spec stays in the container all the same, in every NRI version.
        removals = {split_removal(e.key)[0] for e in new.env if split_removal(e.key)[1]}
        additions = [e for e in new.env if not split_removal(e.key)[1]]
        gone = removals | {e.key for e in additions}
        kept = []
        for entry in self.adjust.env:
            if entry.key in removals:
                self._clear(api.Env, plugin, entry.key)
            else:
                kept.append(entry)
        _replace(self.adjust.env, kept)
        env = [e for e in self._container.env if e.partition("=")[0] not in gone]
        for entry in additions:
            self._claim(api.Env, plugin, entry.key)
            self.adjust.env.add().CopyFrom(entry)
            env.append(f"{entry.key}={entry.value}")
        self._container.env[:] = env

    def _args(self, args: list[str], plugin: str) -> None:
        if not args:
            return
        if args[0] == "":
            self._clear(api.Args, plugin)
            args = args[1:]
        self._claim(api.Args, plugin)
        self.adjust.args[:] = args
        self._container.args[:] = args

    def _hooks(self, new: api.Hooks, plugin: str) -> None:
        added = False
        for name in _HOOKS:
            for hook in getattr(new, name):
                added = True
                getattr(self.adjust.hooks, name).add().CopyFrom(hook)
                getattr(self._container.hooks, name).add().CopyFrom(hook)
        if added:
            self.owners.append(self._container.id, api.OciHooks, plugin)

    def _namespaces(self, new: api.LinuxContainerAdjustment, plugin: str) -> None:
        for namespace in new.namespaces:
            kind, marked = split_removal(namespace.type)
            self._claim(api.Namespace, plugin, kind)
            namespaces = self._container.linux.namespaces
            _replace(namespaces, [n for n in namespaces if n.type != kind])
            if not marked:
                namespaces.add().CopyFrom(namespace)
            self.adjust.linux.namespaces.add().CopyFrom(namespace)

    def _net_devices(self, new: api.LinuxContainerAdjustment, plugin: str) -> None:
        container, adjust = self._container.linux.net_devices, self.adjust.linux.net_devices
        removed = {key for key, marked in map(split_removal, new.net_devices) if marked}
        for key in sorted(new.net_devices):
            if split_removal(key)[1]:
                continue
            if key in removed:
                self._clear(api.LinuxNetDevices, plugin, key)
                adjust[removal(key)].SetInParent()
            self._claim(api.LinuxNetDevices, plugin, key)
            container[key].CopyFrom(new.net_devices[key])
            adjust[key].CopyFrom(new.net_devices[key])
            removed.discard(key)
        for key in sorted(removed):
            adjust[removal(key)].SetInParent()

    def _rdt(self, new: api.LinuxRdt, plugin: str) -> None:
        adjust = self.adjust.linux.rdt
        if new.remove:
            for _, field in _RDT:
                self._clear(field, plugin)
            adjust.Clear()
            adjust.remove = True
        for name, field in _RDT:
            if new.HasField(name):  # type: ignore[arg-type]  # the stub wants literals
                self._claim(field, plugin)
                getattr(adjust, name).CopyFrom(getattr(new, name))
                getattr(adjust, name).SetInParent()
                adjust.remove = False


def _replace(entries: Any, kept: list[Any]) -> None:
    """Make the repeated field hold `kept`, which may contain entries of the field itself."""
    if len(kept) == len(entries):
        return
    copies = [type(e).FromString(e.SerializeToString()) for e in kept]
    del entries[:]
    entries.extend(copies)


def _destination(mount: api.Mount) -> str:
    return mount.destination


def _path(device: api.LinuxDevice) -> str:
    return device.path
