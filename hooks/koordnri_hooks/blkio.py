"""Block I/O: io.max, io.weight, blockio.class.

Blocks (a device and its limits) come from the pod's annotation `koordinator.sh/blkioQOS`, for pods with a QoS label, and for BE
(label, else Kubernetes' BestEffort) also from `beClass.blkioQOS`; where both name a device, the pod's block stands.

    io.max[device]     rbps= wbps= (bytes/s) riops= wiops= (1/s); 0 and unset are `max`, and a block of nothing else is left out
    io.weight[device]  ioWeightPercent of the kernel's default weight 100, so that 100 % is neutral and left out

koordlet writes cgroup v1 files of Anolis kernels only; the mapping to v2 is ours. A block that cannot be used costs itself and
nothing else (koordlet drops them all). blockio.class is set only where the policy names one: a class that the runtime does not
know fails the container. Source: koordlet.md 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from koordnri.model import AnnotationError, ContainerContext, Hook, NodeError, QoSClass, fields
from koordnri.model.annotations import BLKIO_QOS_KEY
from koordnri.model.fields import BLOCKIO_CLASS, IO_MAX, IO_WEIGHT

if TYPE_CHECKING:
    from koordnri.policy.blkio_qos import IOBlock

NEUTRAL_PERCENT = 100
CLASS_NAME_KEY = {
    QoSClass.LSE: "lsr",
    QoSClass.LSR: "lsr",
    QoSClass.LS: "ls",
    QoSClass.BE: "be",
    QoSClass.SYSTEM: "system",
}
"""Class → its key in koordnri-config.hooks.blkio.className."""
NO_LABEL = f"annotation {BLKIO_QOS_KEY} counts only on pods with a QoS label"
_POLICY_PATH = "resource-qos-config.beClass.blkioQOS"


class BlockIO(Hook):
    """See the module."""

    name = "blkio"
    order = 50
    owns = (fields.IO_MAX, fields.IO_WEIGHT, fields.BLOCKIO_CLASS)

    def decide(self, ctx: ContainerContext) -> None:
        pod, policy = ctx.pod, ctx.policy
        qos = pod.qos_or_default
        if policy.blkio.class_names:
            class_name = policy.blkio.class_names.get(CLASS_NAME_KEY[qos])
            if class_name is not None:
                ctx.set(BLOCKIO_CLASS, class_name, "block I/O class of the policy")
        blocks: dict[str, tuple[IOBlock, bool]] = {}
        if qos is QoSClass.BE and policy.qos.be.blkio.enable:
            for block in policy.qos.be.blkio.blocks:
                blocks[block.name] = (block, False)
        if BLKIO_QOS_KEY in pod.annotations:
            if pod.qos is QoSClass.NONE:
                ctx.skip(self.name, NO_LABEL)
            else:
                for block in _own_blocks(ctx):
                    blocks[block.name] = (block, True)
        for block, own in blocks.values():
            _decide_block(ctx, block, own)


def _own_blocks(ctx: ContainerContext) -> tuple[IOBlock, ...]:
    try:
        own = ctx.policy.blkio_qos(ctx.pod)
    except AnnotationError as error:  # what the class asks for stands
        ctx.error(error)
        return ()
    return () if own is None else own.blocks


def _decide_block(ctx: ContainerContext, block: IOBlock, own: bool) -> None:
    device, known = block.name, ctx.node.block_devices
    if block.type != "device":
        ctx.skip(IO_MAX, f"blocks of type {block.type} are not supported yet: name the disk, with type device", device)
        return
    if known is not None and device not in known:
        problem = f"expected a block device of the node, got {device}"
        where = f"blocks[{device}]"
        ctx.error(
            AnnotationError(BLKIO_QOS_KEY, f"{where}: {problem}")
            if own
            else NodeError(f"{_POLICY_PATH}.{where}", problem)
        )
        return
    reason = "blkioQOS of the pod" if own else "blkioQOS of beClass"
    io = block.io_cfg
    if io.read_bps or io.write_bps or io.read_iops or io.write_iops:
        limits = (
            f"rbps={io.read_bps or 'max'} wbps={io.write_bps or 'max'} "
            f"riops={io.read_iops or 'max'} wiops={io.write_iops or 'max'}"
        )
        ctx.set(IO_MAX, limits, reason, device)
    if io.io_weight_percent is not None and io.io_weight_percent != NEUTRAL_PERCENT:
        ctx.set(IO_WEIGHT, io.io_weight_percent, reason, device)
