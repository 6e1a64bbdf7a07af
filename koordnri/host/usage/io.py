"""Block I/O of a cgroup. Source: the kernel's cgroup-v2.rst (io.stat) and cgroup-v1/blkio-controller.rst."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.host.usage.files import UsageFiles

_V1_NAMES = ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes")
"""the former, with cgroups below, since Linux 5.0"""


class IOBytes(NamedTuple):
    """Bytes since the cgroup was made, over all its devices. On a stack of devices (LVM on a disk) the kernel counts them on each."""

    read: int
    written: int


def read_io(files: UsageFiles, directory: str) -> IOBytes | None:
    """The cgroup's I/O until now; None when unknown."""
    return _of_v1(files, directory) if files.version == 1 else _of_v2(files, directory)


def _of_v2(files: UsageFiles, directory: str) -> IOBytes | None:
    text = files.text("blkio", directory, "io.stat")
    if text is None:
        return None
    sums = {"rbytes": 0, "wbytes": 0}
    for line in text.splitlines():
        for word in line.split()[1:]:
            key, _, value = word.partition("=")
            if key in sums and value.isdecimal():
                sums[key] += int(value)
    return IOBytes(sums["rbytes"], sums["wbytes"])


def _of_v1(files: UsageFiles, directory: str) -> IOBytes | None:
    texts = (files.text("blkio", directory, name) for name in _V1_NAMES)
    text = next((text for text in texts if text is not None), None)
    if text is None:
        return None
    sums = {"Read": 0, "Write": 0}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in sums and words[2].isdecimal():
            sums[words[1]] += int(words[2])
    return IOBytes(sums["Read"], sums["Write"])
