"""What resctrl offers: ways of the L3 cache, number of classes, caches, and the groups that exist. Source: the kernel's resctrl.rst."""

from __future__ import annotations

from koordnri.host.files import HostFiles
from koordnri.model.node import Resctrl

_ROOT = "sys/fs/resctrl"
_NO_GROUPS = frozenset({"info", "mon_groups", "mon_data"})
_VENDORS = {"GenuineIntel": "intel", "AuthenticAMD": "amd"}
_SCHEMES = ("L3", "L3CODE", "MB")
"""What allocates in L3 domains, in order of preference: L3CODE takes L3's place when mounted with cdp, MB alone has no ways."""


def read_groups(files: HostFiles) -> frozenset[str] | None:
    """Names of the groups that exist; None where resctrl is not mounted (its mount point is then empty or absent)."""
    found = files.entries(_ROOT)
    if found is None or not (found[0] or found[1]):
        return None
    return frozenset(found[0]) - _NO_GROUPS


def read_resctrl(files: HostFiles) -> Resctrl | None:
    """None where resctrl is not mounted, cannot allocate (monitoring only), or does not make sense (with a problem)."""
    groups = read_groups(files)
    if groups is None:
        return None
    schemata = files.text(f"{_ROOT}/schemata")
    if schemata is None:
        if not files.exists(f"{_ROOT}/info/L3_MON"):
            files.missing(f"{_ROOT}/schemata", "the schemata of the default group")
        return None
    domains = _domains(schemata)
    scheme = next((s for s in _SCHEMES if s in domains), None)
    ids = None if scheme is None else _cache_ids(domains[scheme])
    if scheme is None or ids is None:
        files.bad(f"{_ROOT}/schemata", schemata, "a line such as L3:0=7ff;1=7ff or MB:0=100;1=100")
        return None
    info = f"{_ROOT}/info/{scheme}"
    mask = 0 if scheme == "MB" else _number(files, f"{info}/cbm_mask", 16)
    closids = _number(files, f"{info}/num_closids", 10)
    if mask is None or closids is None:
        return None
    return Resctrl(_vendor(files), mask, closids, ids, groups)


def _domains(schemata: str) -> dict[str, str]:
    """`L3:0=7ff;1=7ff` → {"L3": "0=7ff;1=7ff"}, of each line."""
    lines = (line.strip().partition(":") for line in schemata.splitlines())
    return {name: domains for name, colon, domains in lines if colon}


def _cache_ids(domains: str) -> tuple[int, ...] | None:
    """`0=7ff;8=7ff` → (0, 8): ids may have gaps. None when it is not of that form."""
    ids = [domain.partition("=")[0].strip() for domain in domains.split(";")]
    if all(i.isascii() and i.isdecimal() and len(i) <= 10 for i in ids):
        return tuple(sorted(int(i) for i in ids))
    return None


def _number(files: HostFiles, path: str, base: int) -> int | None:
    """A number that must be there and above 0."""
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
    """What MB means depends on it: percent on Intel, steps of 1/8 GB/s on AMD."""
    for line in (files.text("proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "vendor_id":
            return _VENDORS.get(value.strip(), "")
    return ""
