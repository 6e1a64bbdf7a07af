"""Which fields a runtime would drop silently from an adjustment, because its NRI is older than they are."""

from __future__ import annotations

from typing import Final

from koordnri.model import Field, fields
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire.versions import SINCE, Feature, has

_NEEDS: Final = {
    fields.RLIMIT: Feature.RLIMITS,
    fields.IO_PRIORITY: Feature.IO_PRIORITY,
    fields.SCHEDULER: Feature.SCHEDULER,
    fields.SYSCTL: Feature.SYSCTL,
    fields.MEMORY_POLICY: Feature.MEMORY_POLICY,
    fields.NET_DEVICE: Feature.NET_DEVICES,
    fields.INJECTED_RDT: Feature.RDT,
}


def not_sent(runtime: RuntimeInfo) -> dict[Field, str]:
    """Field → why it is not sent to this runtime; what is missing is sent."""
    return {
        field: f"{runtime.name or 'the runtime'} {runtime.version} has NRI {runtime.nri}, and {field.name} needs {SINCE[feature]}"
        for field, feature in _NEEDS.items()
        if not has(runtime.nri, feature)
    }
