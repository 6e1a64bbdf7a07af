"""How long threads were ready to run and waited for a CPU. Source: the kernel's Documentation/scheduler/sched-stats.rst."""

from __future__ import annotations

from collections.abc import Mapping

from koordnri.host.usage.files import UsageFiles

Waiting = Mapping[int, int]
"""thread id → ns it has waited since it began (the second number of /proc/TID/schedstat)"""


def read_waiting(files: UsageFiles, directory: str) -> Waiting | None:
    """The threads of a cgroup and of all cgroups below it.

    None when unknown: the kernel keeps no such statistics, or the threads are in a PID namespace that we do not see.
    """
    waiting: dict[int, int] = {}
    name = "tasks" if files.version == 1 else "cgroup.threads"
    seen = False
    for below in files.below(directory):
        for thread in (files.text("cpu", below, name) or "").split():
            seen = True
            words = (files.of_thread(thread, "schedstat") or "").split()
            if len(words) == 3 and words[1].isdecimal() and thread.isdecimal():
                waiting[int(thread)] = int(words[1])
    return waiting if waiting or not seen else None


def waited_ns(before: Waiting, after: Waiting) -> int:
    """How long the threads of `after` have waited since `before`, in ns. What threads waited that have ended since then is not known."""
    return sum(ns - past if (past := before.get(thread, 0)) <= ns else ns for thread, ns in after.items())
