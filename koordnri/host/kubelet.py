"""What kubelet's checkpoint says of its CPU manager."""

from __future__ import annotations

import json

from koordnri.host.files import HostFiles

_STATE = "var/lib/kubelet/cpu_manager_state"
_MOST_BYTES = 1 << 20
"""The file has an entry per pinned container; this is room for thousands."""


def read_cpu_policy(files: HostFiles) -> str:
    """`static` or `none`; `none` too where the file is absent or (as kubelet makes it 0600) not for us to read."""
    text = files.text(_STATE, _MOST_BYTES)
    if text is None:
        return "none"
    try:
        state = json.loads(text)
    except (ValueError, RecursionError):
        state = None
    policy = state.get("policyName") if isinstance(state, dict) else None
    if policy in ("none", "static"):
        return str(policy)
    files.bad(_STATE, text, 'JSON with "policyName" none or static')
    return "none"
