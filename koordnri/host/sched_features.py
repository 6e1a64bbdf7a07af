"""The names of the scheduler's features: /sys/kernel/debug/sched/features."""

from __future__ import annotations

from koordnri.host.cgroup.text import switch_names
from koordnri.host.files import HostFiles
from koordnri.model.fields import SCHED_FEATURE


def read_sched_features(files: HostFiles) -> frozenset[str] | None:
    """None without the file: a kernel without debugfs, or an older one."""
    text = files.text(SCHED_FEATURE.v1[1:])
    return None if text is None else switch_names(text)
