"""What kubelet's checkpoint says of its CPU manager."""

from __future__ import annotations

import json

from koordnri.host.files import HostFiles
from koordnri.model import CPUSet

_STATE = "var/lib/kubelet/cpu_manager_state"
_MOST_BYTES = 1 << 20
"""The file has an entry per pinned container; this is room for thousands."""


def read_cpu_policy(files: HostFiles) -> tuple[str, CPUSet]:
    """Policy (`static` or `none`), and the CPUs that kubelet gave to single containers.

    `none` where the file is absent or (as kubelet makes it 0600) not for us to read.
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
        for containers in (state.get("entries") or {}).values():
            for cpus in containers.values():
                given |= CPUSet.parse(cpus)
    except (ValueError, RecursionError, LookupError, AttributeError, TypeError):
        files.bad(_STATE, text, 'JSON with "policyName" none or static, and "entries" of CPU lists')
        return "none", CPUSet()
    return policy, given
