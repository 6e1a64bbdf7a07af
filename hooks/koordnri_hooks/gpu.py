"""Accelerators that the scheduler allocated to the pod: env, mount, device, cdi.

`scheduling.koordinator.sh/device-allocated` names them. Every container of the pod gets all of them, since the annotation does not say
which container gets which. Steps:

1. GPUs (`gpu`), by vendor: the policy's, else the node's label node.koordinator.sh/gpu-vendor, else NVIDIA:

       NVIDIA_VISIBLE_DEVICES = their minors (or, by the policy, UUIDs), in the annotation's order

   Other vendors have other variables; the policy has the table. If the policy wants CDI and the runtime supports it, CDI devices are
   given instead, and the variable stops the vendor's own runtime from adding more. A share of a device is given to NVIDIA's containers
   only: other vendors' device plugins enforce shares, and our variable would give the whole device.
2. HAMi-core: with the label `koordinator.sh/gpu-isolation-provider: HAMi-core` and less than a whole GPU, its library enforces the share:
   CUDA_DEVICE_MEMORY_LIMIT (bytes), CUDA_DEVICE_SM_LIMIT (percent, if given), LD_PRELOAD, and bind mounts of the library and of its lock
   directory. The library's mount is read-only, unlike koordlet's: a container could change what its neighbours load. The share is the
   first device's; the scheduler gives the same share of each.
3. RDMA (`rdma`): see koordnri_hooks.rdma.

An error in one step costs that step. An error in the share costs the share; the variable stays, because otherwise the image's default
applies, often `all`. A variable of the container's spec is replaced, never merged.

Whoever creates pods may write the annotation. The variable grants nothing that the spec could not set. Device nodes do, so only pods whose
spec requests devices get them, unless the policy trusts the annotation (`requireRequest`). The same holds for the variable with
`denyWithoutRequest`: a vendor's runtime obeys the variable, whoever set it, the pod's owner or the image.

This hook's fields are set when a container is created, and never later. Source: koordinator.md 8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from koordnri.hook import ContainerContext, Hook
from koordnri.model import AnnotationError, Mount, Pod, fields, parse_quantity, quantity_value
from koordnri.model.annotations import DEVICE_ALLOCATED, GPU_ISOLATION_LABEL, AllocatedDevice
from koordnri.model.fields import CDI, ENV, MOUNT
from koordnri.policy.trust import entitled
from koordnri_hooks.device_request import why_not_requested
from koordnri_hooks.rdma import give_rdma

if TYPE_CHECKING:  # a hook reads the policy that it gets, and imports nothing from that room
    from koordnri.policy.gpu_vendors import GPUVendor

SEES_NONE = "it sees none; see koordnri-config.hooks.gpu.denyWithoutRequest"
VENDOR_LABEL = "node.koordinator.sh/gpu-vendor"
HAMI = "HAMi-core"
CORE = "koordinator.sh/gpu-core"
MEMORY = "koordinator.sh/gpu-memory"
MEMORY_RATIO = "koordinator.sh/gpu-memory-ratio"
MOST_DEVICES = 256
"""Most devices accepted: more than any machine has, so a longer list is not from a scheduler."""
MOST_MINOR = (1 << 20) - 1
"""The kernel's minor numbers have 20 bits."""
_PARSED = "share of " + DEVICE_ALLOCATED.key
# Requires a letter, a digit and some length, so that `all` and `0` do not match. No comma, which would mean several devices.
_UUID = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9._:-]{6,126}[A-Za-z0-9]", re.ASCII)


class GPU(Hook):
    """Accelerators; the module describes it."""

    name = "gpu"
    order = 60
    owns = (fields.ENV, fields.MOUNT, fields.DEVICE, fields.CDI)

    def decide(self, ctx: ContainerContext) -> None:
        pod = ctx.pod
        denied = ctx.policy.gpu.deny_without_request and _deny(ctx)
        if DEVICE_ALLOCATED.key not in pod.annotations:
            return
        allocated = DEVICE_ALLOCATED.of(pod)
        if not allocated:
            return
        for kind, give in (("gpu", _give_gpus), ("rdma", give_rdma)):
            if (devices := allocated.get(kind)) and not (denied and kind == "gpu"):
                try:
                    give(ctx, devices)
                except AnnotationError as error:
                    ctx.error(error)


def _deny(ctx: ContainerContext) -> bool:
    """Let a container of a pod that requests no GPU see none. Returns whether it may have none."""
    pod, trust = ctx.pod, ctx.policy.trust
    name, vendor = ctx.policy.gpu.vendor_on(ctx.node.labels.get(VENDOR_LABEL))
    why = why_not_requested(pod, "gpu", () if vendor is None else vendor.resource_domains, SEES_NONE)
    if not why or (pod.spec is None and trust.without_spec == "believe"):
        return False
    outcome, who = entitled(pod, trust.gpu, trust, "gpu")
    if outcome == "believed":
        ctx.skip("gpu", f"sees what it asks for without a request: {who}")
        return False
    nothing = {} if vendor is None else vendor.env_beside_cdi
    for variable, value in nothing.items():
        ctx.set(ENV, value, why, variable)
    if not nothing:
        ctx.skip(
            "gpu", f"cannot be denied: no value of {name:.60}'s variable is known by which none is seen (envBesideCDI)"
        )
    return True


def _give_gpus(ctx: ContainerContext, devices: Sequence[AllocatedDevice]) -> None:
    pod, options = ctx.pod, ctx.policy.gpu
    if len(devices) > MOST_DEVICES:
        raise AnnotationError(DEVICE_ALLOCATED.key, f"gpu: expected at most {MOST_DEVICES} devices, got {len(devices)}")
    name, vendor = options.vendor_on(ctx.node.labels.get(VENDOR_LABEL))
    if vendor is None:
        ctx.skip("gpu", f"left to the device plugin: koordnri-config.hooks.gpu.vendors has no {name:.60}")
        return
    minors = _minors(devices)
    if not vendor.shares and (share := _first_share(devices)) is not None:
        ctx.skip(
            "gpu", f"left to the device plugin: gpu[{share}] is a share of a device, which only {name} can enforce"
        )
        return
    no_request = ""
    if options.require_request != "never":
        no_request = why_not_requested(pod, "gpu", vendor.resource_domains)
        if no_request and options.require_request == "always":
            ctx.skip("gpu", no_request)
            return
    by_uuid = options.identify == "uuid"
    if options.inject == "cdi":
        kind = vendor.cdi_kind
        why_not = ctx.node.no_cdi or no_request if kind else f"devices of {name} have no CDI kind"
        if kind and not why_not:
            names = _uuids(devices) if by_uuid else minors
            ctx.set(CDI, ",".join(names), "GPUs given by the scheduler", kind)
            _set_env(ctx, vendor.env_beside_cdi, devices, minors, by_uuid, "the GPUs are given as CDI devices")
            _isolate_share(ctx, vendor, devices[0])
            return
        ctx.skip(CDI, f"{why_not}; the devices are given by environment", kind or name)
    _set_env(ctx, vendor.env, devices, minors, by_uuid, "GPUs given by the scheduler")
    _isolate_share(ctx, vendor, devices[0])


def _set_env(
    ctx: ContainerContext,
    env: dict[str, str],
    devices: Sequence[AllocatedDevice],
    minors: Sequence[str],
    by_uuid: bool,
    reason: str,
) -> None:
    for variable, template in env.items():
        value = template
        if "{" in template:
            value = template.replace("{devices}", "{uuids}" if by_uuid else "{minors}")
            value = value.replace("{minors}", ",".join(minors))
            if "{uuids}" in value:
                value = value.replace("{uuids}", ",".join(_uuids(devices)))
        ctx.set(ENV, value, reason, variable)


def _minors(devices: Sequence[AllocatedDevice]) -> list[str]:
    """Minors in the annotation's order, without repetitions. Raises AnnotationError."""
    for i, device in enumerate(devices):
        if not 0 <= device.minor <= MOST_MINOR:
            expected = "at least 0" if device.minor < 0 else f"at most {MOST_MINOR}"
            raise AnnotationError(
                DEVICE_ALLOCATED.key, f"gpu[{i}].minor: expected {expected}, got {device.minor!s:.24}"
            )
    return list(dict.fromkeys([str(d.minor) for d in devices]))


def _uuids(devices: Sequence[AllocatedDevice]) -> list[str]:
    """UUIDs in the annotation's order, without repetitions. Raises AnnotationError."""
    for i, device in enumerate(devices):
        if not _UUID.fullmatch(device.id):
            raise AnnotationError(
                DEVICE_ALLOCATED.key,
                f'gpu[{i}].id: expected the UUID of one device, as the policy says identify: uuid, got "{device.id[:60]}"',
            )
    return list(dict.fromkeys([d.id for d in devices]))


def _first_share(devices: Sequence[AllocatedDevice]) -> int | None:
    """Index of the first device that is only partly allocated, None when all are whole. Raises AnnotationError."""
    for i, device in enumerate(devices):
        if device.extension is not None and device.extension.gpu_shared_resource_template:
            return i
        for resource in (CORE, MEMORY_RATIO):
            try:
                if resource in device.resources and parse_quantity(device.resources[resource]) < 100:
                    return i
            except ValueError as error:
                raise AnnotationError(DEVICE_ALLOCATED.key, f'gpu[{i}].resources["{resource}"]: {error}') from None
    return None


def _isolate_share(ctx: ContainerContext, vendor: GPUVendor, device: AllocatedDevice) -> None:
    if not vendor.shares or ctx.pod.labels.get(GPU_ISOLATION_LABEL) != HAMI:
        return
    share = _share(ctx.pod, device)
    if share is None:
        return
    reason = "HAMi-core keeps the container to its share of the GPU"
    options = ctx.policy.gpu
    memory_bytes, cores_percent = share
    ctx.set(ENV, memory_bytes, reason, "CUDA_DEVICE_MEMORY_LIMIT")
    if cores_percent:
        ctx.set(ENV, cores_percent, reason, "CUDA_DEVICE_SM_LIMIT")
    library, locks = options.hami_library_path, options.hami_lock_path
    ctx.set(ENV, library, reason, "LD_PRELOAD")
    ctx.set(MOUNT, Mount(library, options=("rbind", "ro")), reason, library)
    ctx.set(MOUNT, Mount(locks), reason, locks)
    if options.hami_cache_directory is not None:
        ctx.skip(
            ENV, "the monitor's directory on the host is not made by this version", "CUDA_DEVICE_MEMORY_SHARED_CACHE"
        )


def _share(pod: Pod, device: AllocatedDevice) -> tuple[str, str] | None:
    """(bytes of GPU memory, percent of its cores or "") of one device, parsed once; None for a whole one. Raises AnnotationError."""
    if _PARSED not in pod.parsed:
        pod.parsed[_PARSED] = _read_share(device)
    share: tuple[str, str] | None = pod.parsed[_PARSED]
    return share


def _read_share(device: AllocatedDevice) -> tuple[str, str] | None:
    given = device.resources
    try:
        where = MEMORY_RATIO
        if where not in given:
            raise ValueError("expected how many percent of the GPU's memory are given, it is missing")
        ratio = parse_quantity(given[where])
        if ratio < 0:
            raise ValueError(f'expected at least 0, got "{given[where]}"')
        if ratio >= 100:
            return None
        where = MEMORY
        if where not in given:
            raise ValueError("expected the bytes of GPU memory, as less than a whole GPU is given; it is missing")
        memory = _not_negative(given[where])
        where = CORE
        cores = _not_negative(given[where]) if where in given else None
    except ValueError as error:
        raise AnnotationError(DEVICE_ALLOCATED.key, f'gpu[0].resources["{where}"]: {error}') from None
    return str(memory), "" if cores is None else str(cores)


def _not_negative(text: str | int | float) -> int:
    amount = quantity_value(text)
    if amount < 0:
        raise ValueError(f'expected at least 0, got "{text}"')
    return amount
