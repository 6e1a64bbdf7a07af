"""Directories as ext4 images, which is how files get into the guest: there is no shared file system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_BLOCK_BYTES = 4096
_INODE_BYTES = 256


def pack(directory: Path, image: Path, spare_bytes: int) -> None:
    """Make `image` an ext4 file system with the content of `directory`, owners and modes kept, and room for more.

    Raises CalledProcessError, after mke2fs's own words on stderr, when that fails.
    """
    sizes = [path.lstat().st_size for path in directory.rglob("*")]
    content_bytes = sum(-(-size // _BLOCK_BYTES) * _BLOCK_BYTES + _INODE_BYTES for size in sizes)
    # The file system's own tables take a twentieth at most; the image is sparse, so being generous costs nothing.
    size_kib = (content_bytes + content_bytes // 10 + spare_bytes) >> 10
    options = ("-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal", "-N", str(len(sizes) + 16384))
    done = subprocess.run(
        ["mke2fs", *options, "-d", directory, image, f"{size_kib}k"], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        # CalledProcessError prints the command and its code only.
        print(done.stderr, file=sys.stderr)
    done.check_returncode()
