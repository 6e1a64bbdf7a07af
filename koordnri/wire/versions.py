"""Which NRI version a runtime speaks, and what follows from it. The protocol negotiates nothing, so tables hold this knowledge.

From NRI 0.12 on a runtime sends its NRI version in Configure. For older ones it is inferred from the runtime's name and version.
Sources: go.mod of each release tag of containerd and CRI-O, and api.proto of each NRI tag.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from enum import Enum
from typing import Final, NamedTuple


class Version(NamedTuple):
    """A version that can be compared: a pre-release comes before its release."""

    major: int
    minor: int
    patch: int
    final: bool = True

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}{'' if self.final else '-pre'}"


_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(.*)", re.ASCII | re.DOTALL)


def parse_version(text: str) -> Version | None:
    """The version that a text begins with; None for "", "(devel)", "0.0.0-unknown" and other texts without one.

    "v" and the patch number are optional. A suffix after "-" makes a pre-release (Go's pseudo-versions are such); other suffixes, for
    example "~ds1" and "+unknown", are ignored.
    """
    match = _VERSION.match(text.strip())
    if match is None:
        return None
    major, minor, patch = int(match[1]), int(match[2]), int(match[3] or 0)
    if (major, minor, patch) == (0, 0, 0):
        return None
    return Version(major, minor, patch, not match[4].startswith("-"))


OLDEST: Final = Version(0, 2, 0)
"""Assumed where a runtime's version is unknown: what a plugin may do on this version, it may do on every later one."""
NEWEST: Final = Version(0, 12, 5)
"""The version that our messages follow; a plugin sends it in RegisterPlugin."""
SENDS_VERSION: Final = Version(0, 12, 0)
"""From this version on Configure carries the NRI version."""

_CONTAINERD: Final = (
    (Version(1, 7, 0), Version(0, 3, 0)),
    (Version(1, 7, 7), Version(0, 4, 0)),
    (Version(1, 7, 14), Version(0, 6, 0)),
    (Version(1, 7, 16), Version(0, 6, 1)),
    (Version(1, 7, 26), Version(0, 8, 0)),
    (Version(2, 0, 0), Version(0, 8, 0)),
    (Version(2, 1, 0), Version(0, 8, 0)),
    (Version(2, 2, 0), Version(0, 10, 0)),
    (Version(2, 2, 1), Version(0, 11, 0)),
    (Version(2, 3, 0), Version(0, 12, 0)),
    (Version(2, 4, 0), Version(0, 12, 3)),
)
_CRIO: Final = (
    (Version(1, 26, 0), Version(0, 2, 0)),
    (Version(1, 26, 2), Version(0, 3, 0)),
    (Version(1, 26, 4), Version(0, 3, 1, False)),
    (Version(1, 27, 0), Version(0, 3, 0)),
    (Version(1, 27, 1), Version(0, 3, 1, False)),
    (Version(1, 28, 0), Version(0, 3, 1, False)),
    (Version(1, 29, 0), Version(0, 5, 0)),
    (Version(1, 29, 2), Version(0, 6, 0)),
    (Version(1, 30, 0), Version(0, 6, 0)),
    (Version(1, 31, 0), Version(0, 6, 1)),
    (Version(1, 32, 0), Version(0, 9, 0)),
    (Version(1, 33, 0), Version(0, 9, 1, False)),
    (Version(1, 34, 0), Version(0, 10, 0)),
    (Version(1, 35, 0), Version(0, 11, 0)),
    (Version(1, 36, 0), Version(0, 11, 0)),
)

CONTAINERD_NAMES: Final = frozenset({"containerd", "v2"})
"""containerd 2.0.x took its name from the last part of its Go package path: "v2"."""
CRIO_NAMES: Final = frozenset({"cri-o"})

NRI_BY_RUNTIME: Final = {
    **dict.fromkeys(CONTAINERD_NAMES, _CONTAINERD),
    **dict.fromkeys(CRIO_NAMES, _CRIO),
}
"""Runtime name → rows of (first runtime version, its NRI version), ascending. A row holds until the next one; the last row has no end."""


def nri_version(runtime_name: str, runtime_version: str, reported: str = "") -> Version:
    """The NRI version of a runtime, from the three texts of ConfigureRequest. In doubt, the oldest possible one.

    `reported` (ConfigureRequest.NRI_version) takes precedence. A text without a version, such as "(devel)", still means that the runtime
    is no older than the version that introduced this field.
    """
    version = parse_version(reported)
    if version is not None:
        return version
    inferred = _infer(runtime_name, runtime_version)
    return max(inferred, SENDS_VERSION) if reported else inferred


def _infer(runtime_name: str, runtime_version: str) -> Version:
    rows = NRI_BY_RUNTIME.get(runtime_name)
    version = parse_version(runtime_version)
    if rows is None or version is None:
        return OLDEST
    # A beta of a release has the release's NRI, so suffixes do not count here.
    at = bisect_right(rows, version._replace(final=True), key=lambda row: row[0])
    return rows[at - 1][1] if at else OLDEST


_MASKS: Final = (
    (Version(0, 10, 0), 0x3FFF),
    (Version(0, 9, 1, False), 0x1FFF),  # CRI-O 1.33 took NRI between two releases
)
_OLDEST_MASK: Final = 0x07FF


def valid_event_mask(version: Version) -> int:
    """The event bits that this NRI version knows. It closes the connection of a plugin that subscribes to any other."""
    for since, mask in _MASKS:
        if version >= since:
            return mask
    return _OLDEST_MASK


class Feature(Enum):
    """What a plugin may rely on from the NRI version in `SINCE` on. An older runtime drops a new field silently."""

    RLIMITS = "adjustment: rlimits"
    REGISTRATION_DEADLOCK_FIXED = "a registration during an event no longer freezes the runtime (nri#79)"
    SPLIT_SYNC = "Synchronize comes in parts (`more`)"
    TIMEOUTS_SENT = "Configure carries the registration and request timeouts"
    CLOSE_ON_FAILED_SYNC = "a plugin whose Synchronize failed is disconnected, not left a zombie"
    CDI_DEVICES = "adjustment: CDI_devices (containerd applies them in some releases only)"
    PIDS_LIMIT = "adjustment: resources.pids"
    OOM_SCORE_ADJ = "adjustment: oom_score_adj"
    MOUNT_REMOVAL = "a mount of the spec can be removed"
    POD_IPS = "PodSandbox.ips"
    POD_UPDATE = "UpdatePodSandbox and PostUpdatePodSandbox"
    VALIDATION = "ValidateContainerAdjustment"
    ARGS = "adjustment: args"
    NAMESPACES = "adjustment: namespaces"
    SECCOMP = "adjustment: seccomp_policy"
    IO_PRIORITY = "adjustment: io_priority"
    SYSCTL = "adjustment: sysctl; NRI 0.11 has it too, and there it crashes the runtime (a map that is nil)"
    NET_DEVICES = "adjustment: net_devices"
    SCHEDULER = "adjustment: scheduler"
    RDT = "adjustment: rdt; before it only resources.rdt_class"
    DEDICATED_RPCS = "the nine events of `events.DEDICATED_METHODS` come by their own RPC"
    VERSION_EXCHANGE = "NRI_version in RegisterPlugin and Configure"
    NAME_CHECK = "plugin names are restricted to [A-Za-z0-9-_.+]"
    MEMORY_POLICY = "adjustment: memory_policy"
    SAFE_UNSOLICITED_UPDATES = "UpdateContainers beside a CRI event cannot freeze the runtime (nri#301)"
    IMAGE = "Container.image"
    FAILURE_POLICY = "ConfigureResponse.failure_policy: what a time-out of the plugin costs"
    CLOSED_IS_SKIPPED = "a plugin that has disconnected is not asked, nor counted as present by the default validator"


SINCE: Final[dict[Feature, Version]] = {
    Feature.RLIMITS: Version(0, 4, 0),
    Feature.REGISTRATION_DEADLOCK_FIXED: Version(0, 6, 1),
    Feature.SPLIT_SYNC: Version(0, 7, 0),
    Feature.TIMEOUTS_SENT: Version(0, 7, 0),
    Feature.CLOSE_ON_FAILED_SYNC: Version(0, 7, 0),
    Feature.CDI_DEVICES: Version(0, 7, 0),
    Feature.PIDS_LIMIT: Version(0, 7, 0),
    Feature.OOM_SCORE_ADJ: Version(0, 7, 0),
    Feature.MOUNT_REMOVAL: Version(0, 7, 0),
    Feature.POD_IPS: Version(0, 8, 0),
    Feature.POD_UPDATE: Version(0, 9, 1, False),
    Feature.VALIDATION: Version(0, 10, 0),
    Feature.ARGS: Version(0, 10, 0),
    Feature.NAMESPACES: Version(0, 10, 0),
    Feature.SECCOMP: Version(0, 10, 0),
    Feature.IO_PRIORITY: Version(0, 10, 0),
    Feature.SYSCTL: Version(0, 12, 0),
    Feature.NET_DEVICES: Version(0, 11, 0),
    Feature.SCHEDULER: Version(0, 11, 0),
    Feature.RDT: Version(0, 11, 0),
    Feature.DEDICATED_RPCS: Version(0, 12, 0),
    Feature.VERSION_EXCHANGE: Version(0, 12, 0),
    Feature.NAME_CHECK: Version(0, 12, 0),
    Feature.MEMORY_POLICY: Version(0, 12, 0),
    Feature.SAFE_UNSOLICITED_UPDATES: Version(0, 12, 1),
    Feature.IMAGE: Version(0, 12, 2),
    Feature.FAILURE_POLICY: Version(0, 12, 4),
    Feature.CLOSED_IS_SKIPPED: Version(0, 12, 5),
}


def has(version: Version, feature: Feature) -> bool:
    """Whether a runtime of this NRI version has the feature."""
    return version >= SINCE[feature]


def sync_zombie(runtime_name: str, version: Version) -> bool:
    """Whether a failed or late Synchronize may leave the plugin a zombie: connected, but never sent another event.

    Such a plugin must close the connection itself and register again. NRI 0.7 closes it when the plugin failed. CRI-O up to NRI 0.12
    leaves it open when it could not apply the plugin's updates.
    """
    if runtime_name in CONTAINERD_NAMES:
        return not has(version, Feature.CLOSE_ON_FAILED_SYNC)
    return version < SENDS_VERSION
