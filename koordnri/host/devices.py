"""Block devices by path with the number that cgroups want, LVM's volume groups, and what lies below a device.

    storage = read_storage(files)
    storage.devices["/dev/sda1"]       → "8:0"          a partition has its disk's number
    storage.volume_groups["data"]      → ("/dev/sdb", "/dev/sdc")
    storage.disks_of("253:3")          → ("/dev/sdb",)  the disks below a logical volume

Cgroups throttle whole disks and refuse a partition's number. A device-mapper or md device is a disk to them as well, and named by itself
it is limited by itself; of a volume group or a mounted volume the disks below count, for that is what koordlet limits (koordlet.md 7).
"""

from __future__ import annotations

from typing import NamedTuple

from koordnri.host.files import HostFiles

_BLOCK = "sys/class/block"
_LVM = "LVM-"
_MULTIPATH = "mpath-"
"""Beginnings of dm/uuid: who made a device-mapper device."""


class _Device(NamedTuple):
    """One entry of sysfs. `disk` is the number of the disk it lies on, which is its own unless it is a partition."""

    name: str
    own: str
    disk: str
    below: tuple[str, ...]
    """names of the devices that it is made of"""
    mapped: str
    """its name in /dev/mapper; "" when it is not device-mapper's"""
    uuid: str


class Storage:
    """The block devices at one moment."""

    def __init__(self, found: list[_Device]) -> None:
        self._by_name = {d.name: d for d in found}
        self._whole = {d.own: d for d in found if d.own == d.disk}
        self._numbers = {d.own: d for d in found}
        self.devices: dict[str, str] = {}
        """`/dev/sda` → `8:0`; a mapped device by all its names: `/dev/dm-0`, `/dev/mapper/<name>`, of LVM also `/dev/<group>/<volume>`"""
        self.volume_groups: dict[str, tuple[str, ...]] = {}
        """name → paths of the disks that its volumes lie on, sorted"""
        groups: dict[str, set[str]] = {}
        for device in found:
            self.devices[_path(device.name)] = device.disk
            if not device.mapped:
                continue
            self.devices[f"/dev/mapper/{device.mapped}"] = device.disk
            if device.uuid.startswith(_LVM) and (names := split_lvm_name(device.mapped)):
                group, volume = names
                self.devices[f"/dev/{group}/{volume}"] = device.disk
                groups.setdefault(group, set()).update(self._below(device, set()))
        self.volume_groups = {group: tuple(sorted(disks)) for group, disks in groups.items()}

    def disks_of(self, device: str) -> tuple[str, ...]:
        """Paths of the disks that a device lies on, by its number or, where that is none of a device, its path in /dev."""
        found = self._numbers.get(device)
        if found is None and (number := self.devices.get(device)) is not None:
            found = self._whole.get(number)
        return () if found is None else tuple(sorted(self._below(found, set())))

    def below(self) -> dict[str, tuple[str, ...]]:
        """`disks_of` for the number of each device."""
        return {number: self.disks_of(number) for number in self._numbers}

    def _below(self, device: _Device, seen: set[str]) -> set[str]:
        disk = self._whole.get(device.disk, device)
        seen.add(disk.name)
        below = [self._by_name[name] for name in disk.below if name in self._by_name and name not in seen]
        # The paths of a multipath device see requests that were throttled, if at all, above them.
        if not below or disk.uuid.startswith(_MULTIPATH):
            return {_path(disk.name)}
        return set().union(*(self._below(one, seen) for one in below))


def read_storage(files: HostFiles) -> Storage:
    """What sysfs shows. Without it no device is known, which is a problem; a nonsensical number costs that device."""
    found = files.entries(_BLOCK)
    if found is None:
        files.missing(_BLOCK, "the directory of block devices")
        return Storage([])
    devices = []
    for name in sorted(found[0]):
        entry = f"{_BLOCK}/{name}"
        disk = own = _number(files, f"{entry}/dev")
        if own is None:
            continue
        # Entries are links into the tree of devices, where a partition's directory lies in its disk's: the kernel resolves `..` there.
        if files.exists(f"{entry}/partition") and (disk := _number(files, f"{entry}/../dev")) is None:
            continue
        below, mapped, uuid = files.entries(f"{entry}/slaves"), "", ""
        if name.startswith("dm-"):
            mapped, uuid = files.text(f"{entry}/dm/name") or "", files.text(f"{entry}/dm/uuid") or ""
        devices.append(_Device(name, own, disk or own, tuple(sorted(below[0])) if below else (), mapped, uuid))
    return Storage(devices)


def split_lvm_name(mapped: str) -> tuple[str, str] | None:
    """`my--data-logs` → ("my-data", "logs"): in LVM's names a dash is doubled, and a single one stands between group and volume."""
    at = 0
    while (at := mapped.find("-", at)) > 0:
        if mapped[at + 1 : at + 2] != "-":
            group, volume = mapped[:at], mapped[at + 1 :]
            return (group.replace("--", "-"), volume.replace("--", "-")) if volume else None
        at += 2
    return None


def _path(name: str) -> str:
    """sysfs spells the slash of /dev/cciss/c0d0 as an exclamation mark."""
    return "/dev/" + name.replace("!", "/")


def _number(files: HostFiles, path: str) -> str | None:
    number = files.text(path)
    if number is None:  # the hidden paths of a multipath NVMe disk have none
        return None
    major, colon, minor = number.partition(":")
    if not (colon and major.isascii() and major.isdecimal() and minor.isascii() and minor.isdecimal()):
        files.bad(path, number, "major:minor")
        return None
    return number
