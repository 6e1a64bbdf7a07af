"""Whether a runtime injects the CDI devices of an adjustment.

NRI has the field from 0.7 on, but runtimes that were built with it went on dropping it without a word for a while: a container would
start without its devices. So this is knowledge of releases, not of NRI's version.
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
"""Runtime name to spans of (first version, first version after it). containerd: its release notes; CRI-O: its pull request 9128."""


def why_no_cdi(runtime: RuntimeInfo) -> str:
    """Why no CDI devices are to be asked of this runtime; "" when it injects them.

    A device that none of the runtime's CDI specifications describes makes it refuse the container. That goes for containerd 2.1 with
    `enable_cdi = false` too, which then looks into /etc/cdi and /var/run/cdi only; 1.7 has that switch off by default.
    """
    version = parse_version(runtime.version)
    spans = _SINCE.get(runtime.name)
    if spans is None or version is None:
        return (
            f"what {runtime.name or 'the runtime'} {runtime.version}".rstrip() + " does with CDI devices is not known"
        )
    # A beta of a release has what the release has.
    release = version._replace(final=True)
    if has(runtime.nri, Feature.CDI_DEVICES) and any(
        first <= release and (end is None or release < end) for first, end in spans
    ):
        return ""
    return f"{runtime.name} {runtime.version} drops CDI devices of plugins"
