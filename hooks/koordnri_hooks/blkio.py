"""Block I/O: limits, weights and latency targets of disks, cost control at the root, blockio.class.

A block names a disk and its settings. Blocks come from three sources, each written to its own cgroup, as in koordlet. A cgroup's limit
holds for everything below it, so no merging is needed: the narrowest limit applies.

    beClass.blkioQOS                    the cgroup of Kubernetes' BestEffort pods: one limit for all of them together; and of each
                                        application outside of pods with qos BE
    annotation koordinator.sh/blkioQOS  the pod's cgroup, for pods with a QoS label; for its containers see below
    cgroupRoot.blkioQOS                 the root of all cgroups: the disk's cost control

    block                        cgroup v2                           cgroup v1, where the kernel has the file
    readBPS, writeBPS (bytes/s)  io.max rbps= wbps=                  blkio.throttle.{read,write}_bps_device
    readIOPS, writeIOPS (1/s)    io.max riops= wiops=                blkio.throttle.{read,write}_iops_device
    ioWeightPercent              io.weight or io.bfq.weight          blkio.cost.weight (Anolis), blkio.bfq.weight_device
    ioLatencyTarget (µs)         io.latency target=                  (none)
    readLatency, writeLatency (µs), …Percent: root only              io.cost.qos; v1: blkio.cost.qos (Anolis)
    enableUserModel, model…: root only                               io.cost.model; v1: blkio.cost.model (Anolis)

0 and unset mean no limit. A weight of 100 % is neutral in all of these files, and is not written. A disk named in cgroupRoot gets cost
control (`enable=1`), by default with 3000 µs at the 95th percentile. ioLatencyTarget is our addition: koordlet's readLatency and
writeLatency belong to the root; read as io.latency of a BE block they would protect BE from the others. LSR, LS and SYSTEM have no common
cgroup; the policy's reader warns that blocks of those classes have no effect.

On v2 the containers of a pod also get the pod's io.max through NRI, so that it holds from a container's first read, before the
pod's file is written. No container may exceed the pod's limit anyway, so this narrows nothing. Weights and latency targets are not sent
this way: they compare siblings, and a disk without cost control refuses a weight, which would keep the container from starting.

Which disks a block names is in koordnri_hooks.block_disks. Limits hold for whole disks. A block that cannot be used is skipped
alone (koordlet drops all). Devices that others set in these files stay as they are (koordlet resets them); a block that left the
configuration gets back the value from before.

blockio.class is set only if the policy names one (hooks.blkio.className): containerd fails a container whose class is not in its
configuration, CRI-O ignores the class. Where that configuration can be read, such a class is refused here. Source: koordinator.md 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from koordnri.hook import ClassContext, ContainerContext, Hook, HostContext, PodContext, RootContext
from koordnri.model import AnnotationError, Field, KubeQoS, NodeError, Pod, QoSClass, fields
from koordnri.model.annotations import BLKIO_QOS_KEY
from koordnri.model.routes import Refusal
from koordnri_hooks.block_disks import Unusable, disks_of

if TYPE_CHECKING:
    from koordnri.policy.blkio_qos import IOBlock, IOConfig

AnyContext = ContainerContext | PodContext | ClassContext | RootContext | HostContext

NEUTRAL_PERCENT = 100
DEFAULT_LATENCY_US = 3000
DEFAULT_LATENCY_PERCENT = 95
NO_IOPS = 2**32 - 1
"""The kernel's value for no limit on operations. For bytes it uses 64 bits, more than a policy can say."""
MOST_ERRORS = 8
"""Most errors per container: a megabyte of unknown devices must not become a thousand Events."""
CLASS_NAME_KEY = {
    QoSClass.LSE: "lsr",
    QoSClass.LSR: "lsr",
    QoSClass.LS: "ls",
    QoSClass.BE: "be",
    QoSClass.SYSTEM: "system",
}
"""Class → its key in koordnri-config.hooks.blkio.className."""
NO_LABEL = f"annotation {BLKIO_QOS_KEY} counts only on pods with a QoS label"
OF_POD, OF_BE, OF_ROOT = "blkioQOS of the pod", "blkioQOS of beClass", "blkioQOS of cgroupRoot"
_POLICY_PATH = {OF_BE: "resource-qos-config.beClass.blkioQOS", OF_ROOT: "resource-qos-config.cgroupRoot.blkioQOS"}
_V1_LIMITS = (
    (fields.IO_READ_BPS, "read_bps"),
    (fields.IO_WRITE_BPS, "write_bps"),
    (fields.IO_READ_IOPS, "read_iops"),
    (fields.IO_WRITE_IOPS, "write_iops"),
)
_MODEL = {
    "rbps": "model_read_bps",
    "rseqiops": "model_read_seq_iops",
    "rrandiops": "model_read_rand_iops",
    "wbps": "model_write_bps",
    "wseqiops": "model_write_seq_iops",
    "wrandiops": "model_write_rand_iops",
}


class BlockIO(Hook):
    """Block I/O; the module describes it."""

    name = "blkio"
    order = 50
    owns = (
        fields.IO_MAX,
        fields.IO_WEIGHT,
        fields.IO_LATENCY,
        fields.IO_READ_BPS,
        fields.IO_WRITE_BPS,
        fields.IO_READ_IOPS,
        fields.IO_WRITE_IOPS,
        fields.IO_COST_WEIGHT,
        fields.IO_COST_QOS,
        fields.IO_COST_MODEL,
        fields.BLOCKIO_CLASS,
    )

    def decide(self, ctx: ContainerContext) -> None:
        if ctx.policy.blkio.class_names:
            _decide_class_name(ctx)
        if BLKIO_QOS_KEY in ctx.pod.annotations:
            try:
                blocks = _own_blocks(ctx)
            except AnnotationError as error:  # blockio.class must still be decided
                ctx.error(error)
                return
            for disk, io in _disks(ctx, blocks, OF_POD, ctx.pod):  # on v1 only to report what cannot be used
                if ctx.node.cgroup_version == 2:
                    _set_io_max(ctx, disk, io, OF_POD)

    def decide_pod(self, ctx: PodContext) -> None:
        if BLKIO_QOS_KEY in ctx.pod.annotations:
            if why := ctx.pod.refusal("ioLatency"):
                ctx.skip(fields.IO_LATENCY.name, why)
            for disk, io in _disks(ctx, _own_blocks(ctx), OF_POD, ctx.pod):
                _set_all(ctx, disk, io, OF_POD)

    def decide_class(self, ctx: ClassContext) -> None:
        blkio = ctx.policy.qos.be.blkio
        if ctx.kube_qos is KubeQoS.BESTEFFORT and blkio.enable:
            for disk, io in _disks(ctx, blkio.blocks, OF_BE):
                _set_all(ctx, disk, io, OF_BE)

    def decide_host(self, ctx: HostContext) -> None:
        blkio = ctx.policy.qos.be.blkio
        if ctx.qos is QoSClass.BE and blkio.enable:
            for disk, io in _disks(ctx, blkio.blocks, OF_BE):
                _set_all(ctx, disk, io, OF_BE)

    def decide_root(self, ctx: RootContext) -> None:
        blkio = ctx.policy.qos.cgroup_root.blkio
        if blkio.enable:
            for disk, io in _disks(ctx, blkio.blocks, OF_ROOT):
                _set_cost_control(ctx, disk, io)


# Which disks, each once


def _own_blocks(ctx: ContainerContext | PodContext) -> Sequence[IOBlock]:
    """Blocks of the pod's annotation. Raises AnnotationError."""
    if ctx.pod.qos is QoSClass.NONE:
        ctx.skip(BlockIO.name, NO_LABEL)
        return ()
    own = ctx.policy.blkio_qos(ctx.pod)
    return () if own is None else own.blocks


def _disks(
    ctx: AnyContext, blocks: Sequence[IOBlock], source: str, pod: Pod | None = None
) -> Iterator[tuple[str, IOConfig]]:
    """Each disk that the blocks name, once, as (path, its settings). A block that cannot be used is reported and skipped."""
    taken: dict[str, IOBlock] = {}
    errors = 0
    for block in blocks:
        try:
            disks = disks_of(ctx.node, block, pod)
            for disk in disks:
                if (other := taken.get(disk)) is not None and other.io_cfg != block.io_cfg:
                    raise Unusable(f"expected one block for {disk}, got another; that of {other.name:.100} stands")
        except Unusable as unusable:
            if not unusable.wrong:
                ctx.skip(f"{BlockIO.name}[{block.name:.100}]", str(unusable))
                continue
            errors += 1
            if errors <= MOST_ERRORS:
                _report(ctx, source, f"blocks[{block.name:.100}]", str(unusable))
            continue
        for disk in disks:
            if disk not in taken:
                taken[disk] = block
                yield disk, block.io_cfg
    if errors > MOST_ERRORS:
        _report(ctx, source, "blocks", f"{errors - MOST_ERRORS} more cannot be used")


def _report(ctx: AnyContext, source: str, where: str, problem: str) -> None:
    path = _POLICY_PATH.get(source)
    if path is None:
        ctx.error(AnnotationError(BLKIO_QOS_KEY, f"{where}: {problem}"))
    else:
        ctx.error(NodeError(f"{path}.{where}", problem))


# What holds for a disk


def _set_all(ctx: PodContext | ClassContext | HostContext, disk: str, io: IOConfig, reason: str) -> None:
    """Limits, weight and latency target of a cgroup above containers."""
    if ctx.node.cgroup_version == 2:
        _set_io_max(ctx, disk, io, reason)
    else:
        for field, attribute in _V1_LIMITS:
            if limit := _limit(getattr(io, attribute), field):
                ctx.set(field, limit, reason, disk)
    percent = io.io_weight_percent
    if percent is not None and percent != NEUTRAL_PERCENT:
        _set_weight(ctx, disk, percent, reason)
    if io.io_latency_target is not None:
        ctx.set(fields.IO_LATENCY, f"target={io.io_latency_target}", reason, disk)


def _set_io_max(ctx: AnyContext, disk: str, io: IOConfig, reason: str) -> None:
    rbps, wbps, riops, wiops = (_limit(getattr(io, attribute), field) for field, attribute in _V1_LIMITS)
    if rbps or wbps or riops or wiops:
        limits = f"rbps={rbps or 'max'} wbps={wbps or 'max'} riops={riops or 'max'} wiops={wiops or 'max'}"
        ctx.set(fields.IO_MAX, limits, reason, disk)


def _limit(value: int | None, field: Field) -> int:
    """The file's number for a limit; 0 means no limit."""
    if value is None or (value >= NO_IOPS and field in (fields.IO_READ_IOPS, fields.IO_WRITE_IOPS)):
        return 0
    return value


def _set_weight(ctx: AnyContext, disk: str, percent: int, reason: str) -> None:
    """Write the weight into each file that the kernel has: the disk's I/O scheduler decides which one counts."""
    both = (fields.IO_WEIGHT,) if ctx.node.cgroup_version == 2 else (fields.IO_COST_WEIGHT, fields.IO_WEIGHT)
    there = [field for field in both if not isinstance(ctx.routes[field], Refusal)]
    for field in there or both[:1]:
        ctx.set(field, percent, reason, disk)


def _set_cost_control(ctx: RootContext, disk: str, io: IOConfig) -> None:
    rlat, wlat = (DEFAULT_LATENCY_US if us is None else us for us in (io.read_latency, io.write_latency))
    rpct, wpct = (
        DEFAULT_LATENCY_PERCENT if percent is None else percent
        for percent in (io.read_latency_percent, io.write_latency_percent)
    )
    ctx.set(fields.IO_COST_QOS, f"enable=1 ctrl=user rpct={rpct} rlat={rlat} wpct={wpct} wlat={wlat}", OF_ROOT, disk)
    model = "ctrl=auto"
    if io.enable_user_model:
        given = ((word, getattr(io, attribute)) for word, attribute in _MODEL.items())
        model = " ".join(("ctrl=user", *(f"{word}={value}" for word, value in given if value is not None)))
    ctx.set(fields.IO_COST_MODEL, model, OF_ROOT, disk)


# The runtime's classes


def _decide_class_name(ctx: ContainerContext) -> None:
    key = CLASS_NAME_KEY[ctx.pod.qos_or_default]
    name, known = ctx.policy.blkio.class_names.get(key), ctx.node.blockio_classes
    if name is None:
        return
    if known is not None and name not in known:
        names = ", ".join(sorted(known)[:10]) or "it has none"
        problem = f"expected a class of the runtime's blockio_config_file ({names}), got {name:.100}"
        ctx.error(NodeError(f"koordnri-config.hooks.blkio.className.{key}", problem))
        return
    ctx.set(fields.BLOCKIO_CLASS, name, "block I/O class of the policy")
