"""What feedback controllers hold now: for the status and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from koordnri.model import NodeState
from koordnri.model.convert import CFS_PERIOD_US
from koordnri.policy.controllers import ControllerMode


def suppressed_cpus(node: NodeState) -> float | None:
    """CPUs that best-effort work may not use now; None while the node's CPUs are not known."""
    if node.topology is None:
        return None
    online, control = len(node.topology.online), node.control
    left = float(online)
    if control.be_cpus is not None:
        left = float(len(control.be_cpus.value))
    elif control.be_quota_us is not None:
        left = control.be_quota_us.value / CFS_PERIOD_US
    return max(online - left, 0.0)


def controllers_shape(node: NodeState, modes: Mapping[str, ControllerMode]) -> Mapping[str, Any]:
    """Of the status: `modes` of the controllers that are on; `bestEffort`, how its CPUs are bounded, null while they are not; numbers of
    containers in `raisedQuotas` and `loweredMemory`.
    """
    control = node.control
    wanted = control.be_cpus or control.be_quota_us
    return {
        "modes": dict(modes),
        "bestEffort": None
        if wanted is None
        else {
            "cpus": None if control.be_cpus is None else str(control.be_cpus.value),
            "quotaMicroseconds": None if control.be_quota_us is None else control.be_quota_us.value,
            "reason": wanted.reason,
        },
        "raisedQuotas": len(control.quotas_us),
        "loweredMemory": len(control.memory_high_bytes),
    }
