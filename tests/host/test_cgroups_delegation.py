"""Whether containers may be given a writable cgroup."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.host.cgroups import read_nsdelegate
from koordnri.host.files import HostFiles

ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
V2 = "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


@pytest.mark.parametrize(
    ("text", "delegates"),
    [
        (ROOT + V2, True),
        (ROOT + V2.replace("nsdelegate,", ""), False),
        (ROOT + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"), True),
        (ROOT + V2.replace("/sys/fs/cgroup", "/elsewhere"), False),
        (ROOT + V2.replace("cgroup2 cgroup2", "tmpfs tmpfs"), False),
        (ROOT, False),
        ("30 22 - cgroup2\n\nnonsense\n", False),
        ("", False),
    ],
)
def test_the_hosts_mount_says_so(tmp_path: Path, text: str, delegates: bool) -> None:
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "proc/1/mountinfo").write_text(text)
    assert read_nsdelegate(HostFiles(tmp_path)) is delegates
