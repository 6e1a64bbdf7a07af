"""Fields that an old runtime does not know: it ignores them in what it receives, and does not send them.

proto3 ignores unknown fields silently, so a plugin that sends rdt to NRI 0.8 sees neither an error nor an effect.
"""

from __future__ import annotations

from google.protobuf.message import Message

from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import SINCE, Feature, Version

_STATUS = Version(0, 10, 0)

_ADJUST = (
    ("rlimits", SINCE[Feature.RLIMITS]),
    ("CDI_devices", SINCE[Feature.CDI_DEVICES]),
    ("args", SINCE[Feature.ARGS]),
)
_ADJUST_LINUX = (
    ("oom_score_adj", SINCE[Feature.OOM_SCORE_ADJ]),
    ("io_priority", SINCE[Feature.IO_PRIORITY]),
    ("seccomp_policy", SINCE[Feature.SECCOMP]),
    ("namespaces", SINCE[Feature.NAMESPACES]),
    ("sysctl", SINCE[Feature.SYSCTL]),
    ("net_devices", SINCE[Feature.NET_DEVICES]),
    ("scheduler", SINCE[Feature.SCHEDULER]),
    ("rdt", SINCE[Feature.RDT]),
    ("memory_policy", SINCE[Feature.MEMORY_POLICY]),
)
_RESOURCES = (("pids", SINCE[Feature.PIDS_LIMIT]),)
_POD = (("ips", SINCE[Feature.POD_IPS]),)
_CONTAINER = (
    ("rlimits", SINCE[Feature.RLIMITS]),
    ("created_at", _STATUS),
    ("started_at", _STATUS),
    ("finished_at", _STATUS),
    ("exit_code", _STATUS),
    ("CDI_devices", _STATUS),
    ("user", Version(0, 11, 0)),
    ("image", SINCE[Feature.IMAGE]),
)
_CONTAINER_LINUX = (
    ("io_priority", _STATUS),
    ("seccomp_profile", _STATUS),
    ("seccomp_policy", _STATUS),
    ("sysctl", Version(0, 11, 0)),
    ("net_devices", SINCE[Feature.NET_DEVICES]),
    ("scheduler", SINCE[Feature.SCHEDULER]),
    ("rdt", SINCE[Feature.RDT]),
)


def _drop(message: Message, table: tuple[tuple[str, Version], ...], version: Version) -> None:
    for name, since in table:
        if version < since:
            message.ClearField(name)


def drop_from_adjustment(adjust: api.ContainerAdjustment, version: Version) -> None:
    """Remove what a runtime of this NRI version does not understand."""
    _drop(adjust, _ADJUST, version)
    _drop(adjust.linux, _ADJUST_LINUX, version)
    _drop(adjust.linux.resources, _RESOURCES, version)


def drop_from_pod(pod: api.PodSandbox, version: Version) -> None:
    """Remove what a runtime of this NRI version does not send."""
    _drop(pod, _POD, version)


def drop_from_container(container: api.Container, version: Version) -> None:
    """Remove what a runtime of this NRI version does not send."""
    _drop(container, _CONTAINER, version)
    _drop(container.linux, _CONTAINER_LINUX, version)
    _drop(container.linux.resources, _RESOURCES, version)
