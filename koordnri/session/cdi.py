"""Whether a runtime injects the CDI devices in an adjustment.

NRI has the field from 0.7 on, but runtimes built with it ignored it silently for some time: a container would start without its devices.
So this depends on the runtime's release, not on the NRI version.
"""

from __future__ import annotations

from typing import Final

from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire.versions import CONTAINERD_NAMES, CRIO_NAMES, Feature, Version, has, parse_version

_CONTAINERD: Final = ((Version(1, 7, 30), Version(1, 8, 0)), (Version(2, 1, 0), None))
_CRIO: Final = ((Version(1, 34, 0), None),)
_SINCE: Final[dict[str, tuple[tuple[Version, Version | None], ...]]] = {
    **dict.fromkeys(CONTAINERD_NAMES, _CONTAINERD),
    **dict.fromkeys(CRIO_NAMES, _CRIO),
}
"""Runtime name → ranges of (first version, first version after it). containerd: its release notes; CRI-O: its pull request 9128."""


def why_no_cdi(runtime: RuntimeInfo) -> str:
    """Why not to send CDI devices to this runtime; "" when it injects them.

    The runtime refuses a container with a device that none of its CDI specifications describes. containerd 2.1 with `enable_cdi = false`
    does so too: it then reads only /etc/cdi and /var/run/cdi. In 1.7 that switch is off by default.
    """
    version = parse_version(runtime.version)
    spans = _SINCE.get(runtime.name)
    if spans is None or version is None:
        return (
            f"what {runtime.name or 'the runtime'} {runtime.version}".rstrip() + " does with CDI devices is not known"
        )
    # A beta counts as its release.
    release = version._replace(final=True)
    if has(runtime.nri, Feature.CDI_DEVICES) and any(
        first <= release and (end is None or release < end) for first, end in spans
    ):
        return ""
    return f"{runtime.name} {runtime.version} drops CDI devices of plugins"
