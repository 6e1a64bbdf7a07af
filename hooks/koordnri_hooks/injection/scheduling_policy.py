"""Scheduling policy of a container's processes: `scheduling-policy.noderesource.dev`, as in sched_setattr(2).

{policy, nice, priority, flags, runtime, deadline, period}; the last three are ns and belong to SCHED_DEADLINE. Runtimes refuse parameters
of another policy.
"""

from __future__ import annotations

import msgspec

from koordnri.model import injection
from koordnri.model.fields import SCHEDULER
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

POLICIES = ("SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE")
_FLAGS = ("RESET_ON_FORK", "RECLAIM", "DL_OVERRUN", "KEEP_POLICY", "KEEP_PARAMS", "UTIL_CLAMP_MIN", "UTIL_CLAMP_MAX")
FLAGS = tuple(f"SCHED_FLAG_{name}" for name in _FLAGS)
MOST_NS = (1 << 63) - 1


class _Scheduling(msgspec.Struct, forbid_unknown_fields=True):
    policy: str = ""
    nice: int = 0
    priority: int = 0
    flags: list[str] = []
    runtime: int = 0
    deadline: int = 0
    period: int = 0


def _give(injecting: Injecting, wanted: _Scheduling | None) -> None:
    if wanted is None:
        return
    policy = injecting.one_of("policy", wanted.policy, POLICIES)
    in_nice = policy in ("SCHED_OTHER", "SCHED_BATCH")
    injecting.within("nice", wanted.nice, *((-20, 19) if in_nice else (0, 0)), why=f" with {policy}")
    in_order = policy in ("SCHED_FIFO", "SCHED_RR")
    injecting.within("priority", wanted.priority, *((1, 99) if in_order else (0, 0)), why=f" with {policy}")
    for name in ("runtime", "deadline", "period"):
        most = MOST_NS if policy == "SCHED_DEADLINE" else 0
        injecting.within(name, getattr(wanted, name), 0, most, why=f" with {policy}")
    for i, flag in enumerate(wanted.flags):
        injecting.one_of(f"flags[{i}]", flag, FLAGS)
    content = msgspec.to_builtins(wanted)
    text = " ".join(
        [policy, *(f"{k}={v}" for k, v in content.items() if v and k not in ("policy", "flags")), *wanted.flags]
    )
    injecting.put(SCHEDULER, {"linux": {"scheduler": content}}, text)


KIND = Kind(injection.SCHEDULING_POLICY, (SCHEDULER,), yaml_of(_Scheduling), _give)
