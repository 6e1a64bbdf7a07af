"""Block devices: their numbers for cgroups by path, LVM's volume groups, and the disks below a device.

    storage = read_storage(files)
    storage.devices["/dev/sda1"]       → "8:0"          a partition has its disk's number
    storage.volume_groups["data"]      → ("/dev/sdb", "/dev/sdc")
    storage.disks_of("253:3")          → ("/dev/sdb",)  the disks below a logical volume

Cgroups throttle whole disks and refuse a partition's number. To them a device-mapper or md device is a disk as well, and limiting it by
name limits just that device. For a volume group or a mounted volume the disks below it are limited, as in koordlet (koordinator.md 7).
"""

from __future__ import annotations

from typing import NamedTuple

from koordnri.host.files import HostFiles

_BLOCK = "sys/class/block"
_LVM = "LVM-"
_MULTIPATH = "mpath-"
"""Prefixes of dm/uuid: the maker of a device-mapper device."""


class _Device(NamedTuple):
    """One entry in sysfs. `disk`: number of the disk that it is on; its own number unless it is a partition."""

    name: str
    own: str
    disk: str
    below: tuple[str, ...]
    """names of the devices that it consists of"""
    mapped: str
    """its name in /dev/mapper; "" for other devices"""
    uuid: str


class Storage:
    """The block devices at one moment."""

    def __init__(self, found: list[_Device]) -> None:
        self._by_name = {d.name: d for d in found}
        self._whole = {d.own: d for d in found if d.own == d.disk}
        self._numbers = {d.own: d for d in found}
        self.devices: dict[str, str] = {}
        """`/dev/sda` → `8:0`; a mapped device has all its names: `/dev/dm-0`, `/dev/mapper/<name>`, for LVM also `/dev/<group>/<volume>`"""
        self.volume_groups: dict[str, tuple[str, ...]] = {}
        """name → paths of the disks below its volumes, sorted"""
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
        """Paths of the disks below a device, by its number or its path in /dev."""
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
        # A multipath device itself is throttled, not the paths below it.
        if not below or disk.uuid.startswith(_MULTIPATH):
            return {_path(disk.name)}
        return set().union(*(self._below(one, seen) for one in below))


def read_storage(files: HostFiles) -> Storage:
    """The devices in sysfs. Without sysfs none is known, which is a problem; a malformed number costs that device."""
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
        # Entries are links into the device tree, where a partition's directory is in its disk's; the kernel resolves `..` there.
        if files.exists(f"{entry}/partition") and (disk := _number(files, f"{entry}/../dev")) is None:
            continue
        below, mapped, uuid = files.entries(f"{entry}/slaves"), "", ""
        if name.startswith("dm-"):
            mapped, uuid = files.text(f"{entry}/dm/name") or "", files.text(f"{entry}/dm/uuid") or ""
        devices.append(_Device(name, own, disk or own, tuple(sorted(below[0])) if below else (), mapped, uuid))
    return Storage(devices)


def split_lvm_name(mapped: str) -> tuple[str, str] | None:
    """`my--data-logs` → ("my-data", "logs"): LVM doubles dashes in names; a single dash separates group and volume."""
    at = 0
    while (at := mapped.find("-", at)) > 0:
        if mapped[at + 1 : at + 2] != "-":
            group, volume = mapped[:at], mapped[at + 1 :]
            return (group.replace("--", "-"), volume.replace("--", "-")) if volume else None
        at += 2
    return None


def _path(name: str) -> str:
    """sysfs writes the slash of /dev/cciss/c0d0 as an exclamation mark."""
    return "/dev/" + name.replace("!", "/")


def _number(files: HostFiles, path: str) -> str | None:
    number = files.text(path)
    if number is None:  # hidden paths of a multipath NVMe disk have no number
        return None
    major, colon, minor = number.partition(":")
    if not (colon and major.isascii() and major.isdecimal() and minor.isascii() and minor.isdecimal()):
        files.bad(path, number, "major:minor")
        return None
    return number
