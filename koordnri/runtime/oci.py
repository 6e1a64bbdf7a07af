"""Applies adjustments and updates to a container's spec, as the runtimes' shared generator and containerd do.

The spec is an NRI Container message: it can hold all that is applied here, and the runtime sends it to plugins later. Lossy or odd
behaviour (memory.reservation is dropped, hugepages grow) is that of the original: nri.md 2.6 and 5.4.
"""

from __future__ import annotations

import posixpath
from typing import Any

from koordnri.model.cpuset import CPUSet
from koordnri.runtime.errors import SpecError
from koordnri.runtime.kernel_limits import KernelLimits
from koordnri.wire import api_pb2 as api
from koordnri.wire.optional import split_removal

_CPU = ("period", "quota", "shares", "realtime_runtime", "realtime_period")
_HOOKS = ("prestart", "create_runtime", "create_container", "start_container", "poststart", "poststop")


def apply_adjustment(spec: api.Container, adjust: api.ContainerAdjustment, kernel: KernelLimits) -> None:
    """Make the spec of a new container. Raises SpecError; then it is not created."""
    _map(spec.annotations, adjust.annotations)
    _env(spec, adjust)
    if adjust.args:
        spec.args[:] = adjust.args
    if adjust.HasField("hooks"):
        for name in _HOOKS:
            getattr(spec.hooks, name).extend(getattr(adjust.hooks, name))
    spec.CDI_devices.extend(adjust.CDI_devices)
    linux, new = spec.linux, adjust.linux
    for device in new.devices:
        _device(linux, device)
    if new.cgroups_path:
        linux.cgroups_path = new.cgroups_path
    _process(linux, new)
    for namespace in new.namespaces:
        kind, marked = split_removal(namespace.type)
        _without(linux.namespaces, lambda n, kind=kind: n.type == kind)
        if not marked:
            linux.namespaces.add().CopyFrom(namespace)
    _map(linux.sysctl, new.sysctl)
    _net_devices(linux, new)
    _create_resources(linux.resources, new.resources)
    _classes(linux, new, kernel)
    _mounts(spec, adjust)
    spec.rlimits.extend(adjust.rlimits)


def _process(linux: api.LinuxContainer, new: api.LinuxContainerAdjustment) -> None:
    for name in ("oom_score_adj", "io_priority", "scheduler", "seccomp_policy"):
        if new.HasField(name):
            getattr(linux, name).CopyFrom(getattr(new, name))
            getattr(linux, name).SetInParent()
    if linux.HasField("io_priority") and linux.io_priority == api.LinuxIOPriority():
        linux.ClearField("io_priority")  # class NONE and priority 0
    if linux.HasField("scheduler") and linux.scheduler.policy == api.SCHED_NONE:
        linux.ClearField("scheduler")


def _net_devices(linux: api.LinuxContainer, new: api.LinuxContainerAdjustment) -> None:
    for key in sorted(new.net_devices):
        name, marked = split_removal(key)
        if marked:
            linux.net_devices.pop(name, None)
        else:
            linux.net_devices[name].CopyFrom(new.net_devices[key])


def _map(target: Any, new: Any) -> None:
    # Go iterates over its map in random order, so either of "-k" and "k" in one adjustment may win there. Here "-k" comes first.
    for key in sorted(new):
        bare, marked = split_removal(key)
        if marked:
            target.pop(bare, None)
        else:
            target[key] = new[key]


def _env(spec: api.Container, adjust: api.ContainerAdjustment) -> None:
    if not adjust.env:
        return
    left = {split_removal(e.key)[0]: e for e in adjust.env}
    env = []
    for entry in spec.env:
        name, equals, _ = entry.partition("=")
        if not equals:
            continue  # Go's generator loses it too
        new = left.pop(name, None)
        if new is None:
            env.append(entry)
        elif not split_removal(new.key)[1]:
            env.append(f"{name}={new.value}")
    env += [f"{e.key}={e.value}" for e in adjust.env if e.key in left]
    spec.env[:] = env


def _device(linux: api.LinuxContainer, device: api.LinuxDevice) -> None:
    path, marked = split_removal(device.path)
    _without(linux.devices, lambda d: d.path == path)
    if marked:
        return
    linux.devices.add().CopyFrom(device)
    rule = linux.resources.devices.add(allow=True, type=device.type, access="rwm" if device.type == "b" else "rw")
    rule.major.value, rule.minor.value = device.major, device.minor


def _create_resources(target: api.LinuxResources, new: api.LinuxResources) -> None:
    for name in _CPU:
        if new.cpu.HasField(name):  # type: ignore[arg-type]  # the stub wants literals
            getattr(target.cpu, name).CopyFrom(getattr(new.cpu, name))
            getattr(target.cpu, name).SetInParent()
    if new.cpu.cpus:
        target.cpu.cpus = new.cpu.cpus
    if new.cpu.mems:
        target.cpu.mems = new.cpu.mems
    _memory_limit(target, new)
    for limit in new.hugepage_limits:
        _without(target.hugepage_limits, lambda h, size=limit.page_size: h.page_size == size)
        target.hugepage_limits.add().CopyFrom(limit)
    for key, value in new.unified.items():
        target.unified[key] = value
    if new.HasField("pids") and new.pids.limit > -1:
        target.pids.limit = new.pids.limit
        target.pids.SetInParent()
    target.devices.extend(new.devices)


def _memory_limit(target: api.LinuxResources, new: api.LinuxResources) -> None:
    """Of memory only the limit is applied; swap follows it, and 0 means unset."""
    if limit := new.memory.limit.value:
        target.memory.limit.value = limit
        target.memory.swap.value = limit


def _classes(linux: api.LinuxContainer, new: api.LinuxContainerAdjustment, kernel: KernelLimits) -> None:
    resources = new.resources
    if resources.HasField("blockio_class"):
        name = resources.blockio_class.value
        if not name:
            linux.resources.ClearField("blockio_class")
        elif name in kernel.blockio_classes:
            linux.resources.blockio_class.value = name
        else:
            known = ", ".join(sorted(kernel.blockio_classes)) or "none"
            raise SpecError(f'blockio class "{name}": expected one of the runtime\'s blockio configuration ({known})')
    if resources.HasField("rdt_class"):
        linux.ClearField("rdt")
        if resources.rdt_class.value:
            linux.rdt.clos_id.value = resources.rdt_class.value
    if new.HasField("rdt"):
        if new.rdt.remove:
            linux.ClearField("rdt")
        for name in ("clos_id", "schemata", "enable_monitoring"):
            if new.rdt.HasField(name):  # type: ignore[arg-type]  # the stub wants literals
                getattr(linux.rdt, name).CopyFrom(getattr(new.rdt, name))
                getattr(linux.rdt, name).SetInParent()


def _mounts(spec: api.Container, adjust: api.ContainerAdjustment) -> None:
    if not adjust.mounts:
        return
    mounts = [api.Mount.FromString(m.SerializeToString()) for m in spec.mounts]
    for new in adjust.mounts:
        destination, marked = split_removal(new.destination)
        mounts = [m for m in mounts if m.destination != destination]
        if not marked:
            mounts.append(new)
    # A mount must come after the mount that contains its path.
    mounts.sort(key=lambda m: (posixpath.normpath(m.destination).count("/"), m.destination))
    del spec.mounts[:]
    spec.mounts.extend(mounts)


def _without(entries: Any, unwanted: Any) -> None:
    for at in reversed([i for i, entry in enumerate(entries) if unwanted(entry)]):
        del entries[at]


def apply_update(spec: api.Container, new: api.LinuxResources) -> None:
    """Change the spec of an existing container, as containerd does: 0 and "" leave a value unchanged, classes cannot change."""
    _written(spec.linux.resources, new)
    spec.linux.resources.hugepage_limits.extend(new.hugepage_limits)


def check_resources(spec: api.Container, kernel: KernelLimits) -> None:
    """Check that the OCI runtime could write these resources. Raises SpecError, which names the first that it could not."""
    resources = spec.linux.resources
    for key in sorted(resources.unified):
        if kernel.cgroup_version == 1:
            raise SpecError(f'cannot use unified on cgroup v1: resources.unified has "{key}"')
        if kernel.cgroup_files is not None and key not in kernel.cgroup_files:
            raise SpecError(f'resources.unified "{key}": this kernel has no such file in a cgroup')
    if kernel.cpus is not None and resources.cpu.cpus:
        try:
            absent = CPUSet.parse(resources.cpu.cpus) - kernel.cpus
        except ValueError as error:
            raise SpecError(f'cpuset.cpus "{resources.cpu.cpus}": {error}') from None
        if absent:
            raise SpecError(f'cpuset.cpus "{resources.cpu.cpus}": the node has no CPU {absent}, only {kernel.cpus}')


def check_start(spec: api.Container, kernel: KernelLimits) -> None:
    """Check that the OCI runtime would start the container. Raises SpecError."""
    check_resources(spec, kernel)
    group = spec.linux.rdt.clos_id.value
    if group and kernel.resctrl_groups is not None and group not in kernel.resctrl_groups:
        known = ", ".join(sorted(kernel.resctrl_groups)) or "none"
        raise SpecError(f'intelRdt.closID "{group}": no such resctrl group on the node, which has {known}')


def levels_of(kernel: KernelLimits) -> tuple[api.LinuxResources, ...]:
    """The levels of a container's cgroup, with nothing set."""
    return tuple(api.LinuxResources() for _ in range(2 if kernel.crun and kernel.cgroup_version == 2 else 1))


def write_levels(levels: tuple[api.LinuxResources, ...], new: api.LinuxResources, kernel: KernelLimits) -> None:
    """Write resources as the OCI runtime does. crun ignores a quota of -1 that comes without its period."""
    taken = api.LinuxResources()
    taken.CopyFrom(new)
    if kernel.crun and taken.cpu.quota.value < 0 and not taken.cpu.period.value:
        taken.cpu.ClearField("quota")
    for level in levels:
        _written(level, taken)


def _written(target: api.LinuxResources, new: api.LinuxResources) -> None:
    for name in ("period", "quota", "shares"):
        if value := getattr(new.cpu, name).value:
            getattr(target.cpu, name).value = value
    if new.cpu.cpus:
        target.cpu.cpus = new.cpu.cpus
    if new.cpu.mems:
        target.cpu.mems = new.cpu.mems
    _memory_limit(target, new)
    for key, value in new.unified.items():
        target.unified[key] = value
