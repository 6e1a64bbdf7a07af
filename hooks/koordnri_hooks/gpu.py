"""GPUs that the scheduler gave to the pod: env, mount, device.

`scheduling.koordinator.sh/device-allocated` names them; every container of the pod sees all of them, as the scheduler does not
tell containers apart:

    NVIDIA_VISIBLE_DEVICES = their minors, in the annotation's order

With the label `koordinator.sh/gpu-isolation-provider: HAMi-core` and less than a whole GPU, HAMi-core's library enforces the share:
CUDA_DEVICE_MEMORY_LIMIT (bytes), CUDA_DEVICE_SM_LIMIT (percent, where given), LD_PRELOAD, and bind mounts of the library and of
its lock directory. The share is the first device's, as the scheduler gives the same of each. What is wrong with the share costs
the share; NVIDIA_VISIBLE_DEVICES stays, since without it the image's own default, often `all`, would count.

Other vendors' devices are their device plugins' affair. Source: koordlet.md 2.6, 8.
"""

from __future__ import annotations

from koordnri.model import AnnotationError, ContainerContext, Hook, Mount, Pod, fields, parse_quantity, quantity_value
from koordnri.model.annotations import DEVICE_ALLOCATED, GPU_ISOLATION_LABEL, AllocatedDevice
from koordnri.model.fields import ENV, MOUNT

HAMI = "HAMi-core"
CORE = "koordinator.sh/gpu-core"
MEMORY = "koordinator.sh/gpu-memory"
MEMORY_RATIO = "koordinator.sh/gpu-memory-ratio"
_PARSED = "share of " + DEVICE_ALLOCATED.key


class GPU(Hook):
    """See the module."""

    name = "gpu"
    order = 60
    owns = (fields.ENV, fields.MOUNT, fields.DEVICE)

    def decide(self, ctx: ContainerContext) -> None:
        pod = ctx.pod
        if DEVICE_ALLOCATED.key not in pod.annotations:
            return
        devices = (DEVICE_ALLOCATED.of(pod) or {}).get("gpu")
        if not devices:
            return
        for i, device in enumerate(devices):
            if device.minor < 0:
                raise AnnotationError(DEVICE_ALLOCATED.key, f"gpu[{i}].minor: expected at least 0, got {device.minor}")
        ctx.set(ENV, ",".join([str(d.minor) for d in devices]), "GPUs given by the scheduler", "NVIDIA_VISIBLE_DEVICES")
        if pod.labels.get(GPU_ISOLATION_LABEL) == HAMI:
            try:
                share = _share(pod, devices[0])
            except AnnotationError as error:
                ctx.error(error)
            else:
                if share is not None:
                    _isolate(ctx, share)


def _isolate(ctx: ContainerContext, share: tuple[str, str]) -> None:
    reason = "HAMi-core keeps the container to its share of the GPU"
    options = ctx.policy.gpu
    memory_bytes, cores_percent = share
    ctx.set(ENV, memory_bytes, reason, "CUDA_DEVICE_MEMORY_LIMIT")
    if cores_percent:
        ctx.set(ENV, cores_percent, reason, "CUDA_DEVICE_SM_LIMIT")
    library, locks = options.hami_library_path, options.hami_lock_path
    ctx.set(ENV, library, reason, "LD_PRELOAD")
    ctx.set(MOUNT, Mount(library), reason, library)
    ctx.set(MOUNT, Mount(locks), reason, locks)
    if options.hami_cache_directory is not None:
        ctx.skip(
            ENV, "the monitor's directory on the host is not made by this version", "CUDA_DEVICE_MEMORY_SHARED_CACHE"
        )


def _share(pod: Pod, device: AllocatedDevice) -> tuple[str, str] | None:
    """(bytes of GPU memory, percent of its cores or "") of one device, read once; None for a whole one. Raises AnnotationError."""
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
        if parse_quantity(given[where]) >= 100:
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
