"""Resource limits of a container's processes: `ulimits.noderesource.dev/container.NAME`, a list of {type, soft, hard}.

The type is that of setrlimit(2), in any letter case, with or without RLIMIT_. A limit that is not written is 0.
"""

from __future__ import annotations

import msgspec

from koordnri.model import injection
from koordnri.model.fields import RLIMIT
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

# fmt: off
TYPES = frozenset((
    "AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS", "RTPRIO", "RTTIME",
    "SIGPENDING", "STACK",
))
# fmt: on
MOST = (1 << 64) - 1
"""no limit"""


class _Ulimit(msgspec.Struct, forbid_unknown_fields=True):
    type: str = ""
    soft: int = 0
    hard: int = 0


def _give(injecting: Injecting, limits: list[_Ulimit] | None) -> None:
    for i, limit in enumerate(limits or ()):
        name = limit.type.upper().removeprefix("RLIMIT_")
        if name not in TYPES:
            raise injecting.wrong(f'[{i}].type: expected one of {", ".join(sorted(TYPES))}, got "{limit.type[:40]}"')
        for which, value in (("soft", limit.soft), ("hard", limit.hard)):
            injecting.within(f"[{i}].{which}", value, 0, MOST)
        if limit.hard < limit.soft:
            raise injecting.wrong(f"[{i}].hard: expected at least the soft limit {limit.soft}, got {limit.hard}")
        type_ = f"RLIMIT_{name}"
        injecting.once(f"[{i}].type", type_, RLIMIT)
        content = {"type": type_, "soft": limit.soft, "hard": limit.hard}
        injecting.put(RLIMIT, {"rlimits": [content]}, f"{_shown(limit.soft)} (hard {_shown(limit.hard)})", type_)


def _shown(limit: int) -> str:
    return "unlimited" if limit == MOST else str(limit)


KIND = Kind(injection.ULIMITS, (RLIMIT,), yaml_of(list[_Ulimit]), _give)
