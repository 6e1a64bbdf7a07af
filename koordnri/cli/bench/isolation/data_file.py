"""The files that programs read and write: on a disk, and not in the page cache when an arm begins."""

from __future__ import annotations

import os
from pathlib import Path

from koordnri.cli.bench.figures import BenchError

CHUNK = 1 << 20


def write(path: Path, size: int) -> None:
    """Fill a file. Raises BenchError when the disk has no room."""
    try:
        with path.open("wb") as file:
            for _ in range(size // CHUNK):
                file.write(bytes(CHUNK))
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}; the bench needs {size >> 20} MiB there") from None
    forget(path)


def forget(path: Path) -> None:
    """Take it out of the page cache, where its pages would belong to who read them before."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def disk_of(directory: Path) -> tuple[str, str] | None:
    """The whole disk that a directory is on, as (/dev/NAME, MAJOR:MINOR). None where it is on none, such as on a tmpfs."""
    device = directory.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not block.exists():
        return None
    found = block.resolve()
    if (found / "partition").exists():
        found = found.parent
    return f"/dev/{found.name}", (found / "dev").read_text().strip()
