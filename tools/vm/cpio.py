"""An initrd as the kernel unpacks it: cpio's "newc" format, uncompressed (kernel: early-userspace/buffer-format)."""

from __future__ import annotations

import stat
from dataclasses import dataclass

_FILE_END = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or device of an initrd; all belong to root."""

    name: str
    mode: int
    """Type and permissions, as in st_mode."""
    content: bytes = b""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device."""


def directory(name: str) -> Entry:
    """A directory; it must come before what it contains."""
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, content: bytes, permissions: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(name, stat.S_IFREG | permissions, content)


def console() -> Entry:
    """The console that the kernel opens for init; without it init has no standard output."""
    return Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))


def pack(entries: list[Entry]) -> bytes:
    """The archive of `entries`, in their order."""
    archive = bytearray()
    for number, entry in enumerate([*entries, Entry(_FILE_END, 0)], start=1):
        name = entry.name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device of the file system (2), own device (2), name's size, checksum
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
        archive += b"070701" + b"".join(b"%08x" % value for value in fields) + name
        archive += b"\0" * (-len(archive) % 4)
        archive += entry.content
        archive += b"\0" * (-len(archive) % 4)
    return bytes(archive)
