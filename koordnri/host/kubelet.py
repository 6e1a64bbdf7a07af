"""kubelet's checkpoint of its CPU manager."""

from __future__ import annotations

import json
import os

from koordnri.host.files import HostFiles
from koordnri.model import CPUSet

_STATE = "var/lib/kubelet/cpu_manager_state"
_MOST_BYTES = 1 << 20
"""Most bytes read: there is an entry per pinned container; this is enough for thousands."""


def read_cpu_policy(files: HostFiles) -> tuple[str, CPUSet]:
    """Policy (`static` or `none`), and the CPUs that kubelet pinned containers to.

    `none` if the file is absent, or not readable for us (kubelet makes it 0600). If kubelet has replaced the file since it was mounted,
    only the policy counts: the entries are out of date, while the policy changes only with kubelet's configuration.
    """
    text = files.text(_STATE, _MOST_BYTES)
    if text is None:
        return "none", CPUSet()
    try:
        state = json.loads(text)
        policy = state["policyName"]
        if policy not in ("none", "static"):
            raise ValueError(policy)
        given = CPUSet()
        if _is_replaced(files.path(_STATE)):
            return policy, given
        for containers in (state.get("entries") or {}).values():
            for cpus in containers.values():
                given |= CPUSet.parse(cpus)
    except (ValueError, RecursionError, LookupError, AttributeError, TypeError):
        files.bad(_STATE, text, 'JSON with "policyName" none or static, and "entries" of CPU lists')
        return "none", CPUSet()
    return policy, given


def _is_replaced(path: str) -> bool:
    """Whether a file that is mounted by itself (as in a DaemonSet) was replaced in its directory: kubelet writes a new one and renames
    it, and the mount keeps the old one, which has no name left.
    """
    try:
        return os.stat(path).st_nlink == 0
    except OSError:  # it was just read, so it vanished in between
        return False
