"""What a fake kernel's cgroup keeps of disks, beyond v2's io.max and io.weight: texts as the kernel shows them, and what it refuses.

From block/blk-throttle.c, blk-iolatency.c, blk-iocost.c and bfq-cgroup.c; what v1's throttles do to numbers was tried on a machine.
It knows nothing of koordnri's spelling.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

NO_DISK = "9:9"
"""There is none with this number."""
THROTTLES = {
    f"blkio.throttle.{rw}_{what}_device": bits for rw in ("read", "write") for what, bits in (("bps", 64), ("iops", 32))
}
"""v1's file → the bits that it keeps of a number; all ones are no limit"""
_AUTO = {
    "qos": {"enable": "0", "ctrl": "auto", "rpct": "0.00", "rlat": "250000", "wpct": "0.00", "wlat": "250000"},
    "model": {"ctrl": "auto", "model": "linear", "rbps": "2338259289", "rseqiops": "98560", "rrandiops": "98559"}
    | {"wbps": "2672804009", "wseqiops": "133179", "wrandiops": "106710"},
}
"""What the root shows of a disk when the kernel chooses; the real one has min and max, too."""
_CHOICE = ("enable", "ctrl", "model")


@dataclass
class Disks:
    """Of one cgroup; `cost` only of the root."""

    latency: dict[str, int] = field(default_factory=dict)
    throttle: dict[str, dict[str, int]] = field(default_factory=dict)
    cost_weight: dict[str, int] = field(default_factory=lambda: {"default": 100})
    bfq: dict[str, int] = field(default_factory=lambda: {"default": 100})
    cost: dict[str, dict[str, dict[str, str]]] = field(default_factory=lambda: {"qos": {}, "model": {}})
    """qos, model → disk → its words"""

    def root_files(self, version: int) -> dict[str, str]:
        """Of what is set here, the root of all cgroups has the cost control only."""
        prefix = "io" if version == 2 else "blkio"
        return {
            f"{prefix}.cost.{kind}": "\n".join(
                f"{disk} " + " ".join(f"{key}={value}" for key, value in words.items())
                for disk, words in of_disks.items()
            )
            for kind, of_disks in self.cost.items()
        }

    def files(self, version: int) -> dict[str, str]:
        """Name → text."""
        if version == 2:
            return {"io.latency": _lines(self.latency, "target=")}
        files = {"blkio.cost.weight": _lines(self.cost_weight), "blkio.bfq.weight_device": _lines(self.bfq)}
        return files | {name: _lines(self.throttle.get(name, {})) for name in THROTTLES}

    def set(self, name: str, text: str) -> bool:
        """Whether the file is one of these; raises OSError for what the kernel refuses."""
        disk, _, value = text.partition(" ")
        if name == "io.latency":
            _refuse(disk == NO_DISK, errno.ENODEV)
            _refuse(not value.startswith("target="), errno.EINVAL)
            self.latency[disk] = int(value.removeprefix("target="))
            if not self.latency[disk]:
                del self.latency[disk]
        elif name in THROTTLES:
            _refuse(disk == NO_DISK, errno.ENODEV)
            of_disks, bits = self.throttle.setdefault(name, {}), THROTTLES[name]
            of_disks.pop(disk, None)
            kept = (int(value) or 2**64 - 1) % 2**bits
            if kept != 2**bits - 1:
                of_disks[disk] = kept
        elif name == "blkio.cost.weight":
            _refuse(disk == NO_DISK, errno.ENODEV)
            _refuse(not 1 <= int(value) <= 100, errno.ERANGE)
            self.cost_weight[disk] = int(value)
        elif name == "blkio.bfq.weight_device":
            _refuse(disk == NO_DISK, errno.EOPNOTSUPP)  # no scheduler bfq there
            if value == "default":
                self.bfq.pop(disk, None)
            else:
                _refuse(not 1 <= int(value) <= 1000, errno.ERANGE)
                self.bfq[disk] = int(value)
        elif ".cost." in name:
            self._set_cost(name.rpartition(".")[2], disk, dict(word.split("=") for word in value.split()))
        else:
            return False
        return True

    def _set_cost(self, kind: str, disk: str, given: dict[str, str]) -> None:
        """Whoever gives a parameter chooses himself, whatever he says of ctrl."""
        _refuse(disk == NO_DISK, errno.ENODEV)
        _refuse(not given.keys() <= _AUTO[kind].keys(), errno.EINVAL)
        has = dict(self.cost[kind].get(disk, _AUTO[kind]))
        if given.get("ctrl") == "auto":
            has |= {key: value for key, value in _AUTO[kind].items() if key != "enable"}
        has |= {key: f"{float(v):.2f}" if key in ("rpct", "wpct") else v for key, v in given.items()}
        if given.keys() - {*_CHOICE}:
            has["ctrl"] = "user"
        self.cost[kind][disk] = has


def _lines(values: dict[str, int], before: str = "") -> str:
    return "\n".join(f"{disk} {before}{value}" for disk, value in values.items())


def _refuse(condition: bool, number: int) -> None:
    if condition:
        raise OSError(number, os.strerror(number))
