"""blkioQOS of a class, and the pod annotation `koordinator.sh/blkioQOS`. Source: Koordinator's BlkIOQOS; units from its documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from koordnri.policy.reader import Document
from koordnri.policy.units import NotNegative, Percent, Positive, Quantity, Text


class IOConfig(Document, frozen=True):
    """Limits of one device. 0: no limit; None: not set."""

    read_iops: NotNegative | None = field(default=None, name="readIOPS")
    """Reads per second."""
    write_iops: NotNegative | None = field(default=None, name="writeIOPS")
    """Writes per second."""
    read_bps: Quantity | None = field(default=None, name="readBPS")
    """Bytes per second."""
    write_bps: Quantity | None = field(default=None, name="writeBPS")
    """Bytes per second."""
    io_weight_percent: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Share against siblings; None as 100."""
    io_latency_target: Positive | None = None
    """µs of latency that this cgroup may have before its siblings are throttled; cgroup v2, not at the root. Ours; koordlet ignores it."""
    read_latency: NotNegative | None = None
    """µs, cgroup root only; None: 3000."""
    write_latency: NotNegative | None = None
    """µs, cgroup root only; None: 3000."""
    read_latency_percent: Percent | None = None
    """Percentile that the read latency holds for, cgroup root only; None: 95."""
    write_latency_percent: Percent | None = None
    """Percentile that the write latency holds for, cgroup root only; None: 95."""
    enable_user_model: bool = False
    """Use the cost model below instead of the kernel's own measurement, cgroup root only. Values that are not set stay the kernel's."""
    model_read_bps: Positive | None = field(default=None, name="modelReadBPS")
    model_read_seq_iops: Positive | None = field(default=None, name="modelReadSeqIOPS")
    model_read_rand_iops: Positive | None = field(default=None, name="modelReadRandIOPS")
    model_write_bps: Positive | None = field(default=None, name="modelWriteBPS")
    model_write_seq_iops: Positive | None = field(default=None, name="modelWriteSeqIOPS")
    model_write_rand_iops: Positive | None = field(default=None, name="modelWriteRandIOPS")


class IOBlock(Document, frozen=True):
    """One device and its limits."""

    name: Text
    """type device: /dev/sdb; volumegroup: the LVM group; podvolume: the pod's volume, by its name in the pod or its PersistentVolume."""
    type: Literal["device", "volumegroup", "podvolume"] = "device"
    io_cfg: IOConfig = IOConfig()


class BlkIOQOS(Document, frozen=True):
    """A list of blocks; a node's list replaces the cluster's."""

    enable: bool = False
    blocks: tuple[IOBlock, ...] = ()


def unused_blocks(classes: Mapping[str, BlkIOQOS]) -> Iterator[tuple[str, str]]:
    """(path, message) for classes, by their JSON names, whose blocks have no effect."""
    for name, blkio in classes.items():
        if blkio.enable and blkio.blocks:
            yield (
                f"{name}.blkioQOS",
                "has no effect: only the pods of beClass have a cgroup of their own; use the pods' annotation koordinator.sh/blkioQOS",
            )


class PodBlkIOQOS(Document, frozen=True):
    """Value of the pod annotation `koordinator.sh/blkioQOS`; it is used alone, without merging."""

    blocks: tuple[IOBlock, ...] = ()
