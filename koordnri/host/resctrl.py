"""What resctrl offers: caches, memory bandwidth, number of classes, existing groups. Source: the kernel's resctrl.rst."""

from __future__ import annotations

from koordnri.host.files import HostFiles
from koordnri.model.node import Resctrl
from koordnri.model.schemata import AMD_FULL, AMD_UNITS, MBPS, MBPS_FULL, PERCENT, Cache, MemoryBandwidth, parse

_ROOT = "sys/fs/resctrl"
_NO_GROUPS = frozenset({"info", "mon_groups", "mon_data"})
_VENDORS = {"GenuineIntel": "intel", "AuthenticAMD": "amd"}
_CACHES = ("L3", "L3CODE", "L3DATA", "L2", "L2CODE", "L2DATA")
"""CODE and DATA replace their cache if mounted with cdp or cdpl2."""
_IN_MBPS = "mba_MBps"


def read_groups(files: HostFiles) -> frozenset[str] | None:
    """Names of the existing groups; None if resctrl is not mounted (its mount point is then empty or absent)."""
    found = files.entries(_ROOT)
    if found is None or not (found[0] or found[1]):
        return None
    return frozenset(found[0]) - _NO_GROUPS


def read_resctrl(files: HostFiles) -> Resctrl | None:
    """None if resctrl is not mounted, cannot allocate (monitoring only), or is malformed (with a problem).

    A malformed resource is left out, with a problem too.
    """
    groups = read_groups(files)
    if groups is None:
        return None
    text = files.text(f"{_ROOT}/schemata")
    if text is None:
        if not files.exists(f"{_ROOT}/info/L3_MON"):
            files.missing(f"{_ROOT}/schemata", "the schemata of the default group")
        return None
    domains = {name: values for name, values in parse(text).items() if values and min(values) >= 0}
    names = [name for name in (*_CACHES, "MB") if name in domains]
    if not names:
        files.bad(f"{_ROOT}/schemata", text, "a line such as L3:0=7ff;1=7ff or MB:0=100;1=100")
        return None
    closids: list[int] = []
    caches: list[Cache] = []
    bandwidth = None
    vendor = _vendor(files)
    for name in names:
        ids, number = tuple(sorted(domains[name])), _number(files, f"{_ROOT}/info/{name}/num_closids", 10)
        if number is None:
            continue
        if name == "MB":
            bandwidth = _bandwidth(files, vendor, domains[name])
        elif (cache := _cache(files, name, ids)) is not None:
            caches.append(cache)
        else:
            continue
        closids.append(number)
    if not closids:
        return None
    last_level = next((cache for cache in caches if cache.level == "L3"), None)
    ids = caches[0].ids if caches else tuple(sorted(domains["MB"]))
    # Each group needs a class of every resource, so the resource with the fewest classes decides.
    return Resctrl(
        vendor, 0 if last_level is None else last_level.cbm_mask, min(closids), ids, groups, tuple(caches), bandwidth
    )


def _cache(files: HostFiles, name: str, ids: tuple[int, ...]) -> Cache | None:
    info = f"{_ROOT}/info/{name}"
    mask = _number(files, f"{info}/cbm_mask", 16)
    if mask is None:
        return None
    # Ways that hardware shares (shareable_bits) are not looked at: nobody is kept off them, as koordlet keeps nobody off.
    return Cache(name, mask, ids, files.number(f"{info}/min_cbm_bits") or 1)


def _bandwidth(files: HostFiles, vendor: str, root: dict[int, int]) -> MemoryBandwidth:
    """`root`: values of the default group. They show the unit if the vendor does not: a percentage is never above 100."""
    gran = files.number(f"{_ROOT}/info/MB/bandwidth_gran") or 0
    least = files.number(f"{_ROOT}/info/MB/min_bandwidth") or 0
    ids, most = tuple(sorted(root)), max(root.values())
    if _IN_MBPS in _mount_options(files):
        return MemoryBandwidth(ids, MBPS, 1, 1, MBPS_FULL)
    if vendor == "amd" or most > 100:
        return MemoryBandwidth(ids, AMD_UNITS, 1, max(least, 1), max(most, AMD_FULL))
    return MemoryBandwidth(ids, PERCENT, max(gran, 1), max(least, 1), 100)


def _mount_options(files: HostFiles) -> list[str]:
    """Options of resctrl's mount, wherever it is: a container sees the host's mount under another path."""
    path = files.path("proc/mounts")
    try:
        # Read to the end, line by line: with some hundred containers the file is longer than one read.
        with open(path, errors="replace") as mounts:
            for line in mounts:
                words = line.split()
                if len(words) >= 4 and words[2] == "resctrl":
                    return words[3].split(",")
    except FileNotFoundError:
        pass
    except OSError as error:
        files.problems.append(f"{path}: cannot be read: {error.strerror}")
    return []


def _number(files: HostFiles, path: str, base: int) -> int | None:
    """A number that must exist and be above 0."""
    problems = len(files.problems)
    number = files.number(path, base)
    if number is not None and number > 0:
        return number
    if number is not None:
        files.bad(path, str(number), "a number above 0")
    elif len(files.problems) == problems:
        files.missing(path, "a number")
    return None


def _vendor(files: HostFiles) -> str:
    """The vendor decides what MB means: percent on Intel, steps of 1/8 GB/s on AMD."""
    for line in (files.text("proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "vendor_id":
            return _VENDORS.get(value.strip(), "")
    return ""
