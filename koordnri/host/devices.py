"""Block devices by path, with the number that io.max and io.weight want."""

from __future__ import annotations

from koordnri.host.files import HostFiles

_BLOCK = "sys/class/block"


def read_block_devices(files: HostFiles) -> dict[str, str]:
    """`/dev/sda` → `8:0`.

    A partition has its disk's number, for cgroups throttle whole disks and refuse a partition's number. A device-mapper device is
    listed by both its names, `/dev/dm-0` and `/dev/mapper/<name>`.
    """
    found = files.entries(_BLOCK)
    if found is None:
        files.missing(_BLOCK, "the directory of block devices")
        return {}
    devices: dict[str, str] = {}
    for name in sorted(found[0]):
        entry = f"{_BLOCK}/{name}"
        # Entries are links into the tree of devices, where a partition's directory lies in its disk's: the kernel resolves `..` there.
        owner = f"{entry}/.." if files.exists(f"{entry}/partition") else entry
        number = files.text(f"{owner}/dev")
        if number is None:  # the hidden paths of a multipath NVMe disk have none
            continue
        major, colon, minor = number.partition(":")
        if not (colon and major.isascii() and major.isdecimal() and minor.isascii() and minor.isdecimal()):
            files.bad(f"{owner}/dev", number, "major:minor")
            continue
        # sysfs spells the slash of /dev/cciss/c0d0 as an exclamation mark.
        devices["/dev/" + name.replace("!", "/")] = number
        if name.startswith("dm-") and (mapped := files.text(f"{entry}/dm/name")):
            devices[f"/dev/mapper/{mapped}"] = number
    return devices
