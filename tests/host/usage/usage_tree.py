"""A directory tree like the host's, with the statistics of one cgroup and its threads."""

from __future__ import annotations

from pathlib import Path

from koordnri.host.usage.files import UsageFiles
from koordnri.host.usage.pressure import Pressure

CGROUP = "kubepods/pod1/c1"

V2 = {
    "cpu.stat": "usage_usec 5000000\nuser_usec 1\nnr_periods 10\nnr_throttled 2\nthrottled_usec 700\n",
    "memory.current": "10485760\n",
    "memory.stat": "anon 1\ninactive_file 2097152\n",
    "memory.min": "1048576\n",
    "memory.high": "max\n",
    "io.stat": "8:0 rbytes=100 wbytes=20 rios=1 wios=1\n8:16 rbytes=1 wbytes=2 dbytes=9\n7:0 \n",
    "cpu.pressure": "some avg10=12.50 avg60=1.00 total=9\nfull avg10=3.00 avg60=0.00 total=1\n",
    "memory.pressure": "some avg10=0.00 avg60=0.00 total=0\n",
    "cgroup.threads": "101\n102\n",
}
V1 = {
    "cpu/cpu.stat": "nr_periods 10\nnr_throttled 2\nthrottled_time 700000\n",
    "cpu/tasks": "101\n102\n",
    "cpuacct/cpuacct.usage": "5000000000\n",
    "memory/memory.usage_in_bytes": "10485760\n",
    "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 2097152\n",
    "blkio/blkio.throttle.io_service_bytes": "8:0 Read 99\n8:0 Write 99\nTotal 198\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 100\n8:0 Write 20\n8:16 Read 1\n8:16 Write 2\nTotal 123\n",
}
SCHEDSTAT = {101: "1 2000000 3\n", 102: "1 500000 3\n"}


class UsageTree:
    """Files below `root`, of this version."""

    def __init__(self, root: Path, version: int) -> None:
        self.root = root
        self.version = version
        for name, text in (V2 if version == 2 else V1).items():
            self.write(name, text)
        for thread, text in SCHEDSTAT.items():
            self.schedstat(thread, text)

    @property
    def files(self) -> UsageFiles:
        """As the commands read them."""
        return UsageFiles(self.root, self.version)

    def path(self, name: str, cgroup: str = CGROUP) -> Path:
        """`name`: a file on v2, CONTROLLER/FILE on v1."""
        controller, _, file = name.rpartition("/")
        return self.root / "sys/fs/cgroup" / controller / cgroup / file

    def write(self, name: str, text: str, cgroup: str = CGROUP) -> None:
        """A file of a cgroup."""
        path = self.path(name, cgroup)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def schedstat(self, thread: int, text: str) -> None:
        """A thread's statistics."""
        directory = self.root / "proc" / str(thread)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "schedstat").write_text(text)


NO_PRESSURE = Pressure(None, None, None)
MIB = 1 << 20
