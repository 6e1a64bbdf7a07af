"""What kubelet's checkpoint says of its CPU manager."""

from __future__ import annotations

import json
import os

from koordnri.host.files import HostFiles
from koordnri.model import CPUSet

_STATE = "var/lib/kubelet/cpu_manager_state"
_MOST_BYTES = 1 << 20
"""The file has an entry per pinned container; this is room for thousands."""


def read_cpu_policy(files: HostFiles) -> tuple[str, CPUSet]:
    """Policy (`static` or `none`), and the CPUs that kubelet gave to single containers.

    `none` where the file is absent or (as kubelet makes it 0600) not for us to read. Of a file that kubelet has replaced since only
    the policy counts: who had CPUs then says nothing of now, while the policy changes only together with kubelet's configuration.
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
    """Whether a file that is mounted by itself (as a DaemonSet does) is not the directory's any more: kubelet writes a new one and
    renames it, and the mount keeps the old one, which has no name left.
    """
    try:
        return os.stat(path).st_nlink == 0
    except OSError:  # gone right now: it has just been read
        return False
