"""What a runtime says of itself in Configure."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.model import UNLIMITED
from koordnri.reconcile.recorder import REPLY, RESYNC, UNSOLICITED
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import CONTAINERD_NAMES, CRIO_NAMES, OLDEST, Feature, Version, has, nri_version

MOST_BYTES = 0x7FFFFFFFFFFFF000
"""The largest memory limit of whole pages of 4 KiB; a kernel with larger pages rounds it down to its own."""
DEFAULT_REQUEST_TIMEOUT_S = 2.0
"""What runtimes use when they do not tell (NRI < 0.7)."""


class RuntimeInfo(NamedTuple):
    """Name and version, the NRI version that follows from them, and how long it waits for an answer."""

    name: str = ""
    version: str = ""
    nri: Version = OLDEST
    request_timeout_s: float = DEFAULT_REQUEST_TIMEOUT_S

    @classmethod
    def of(cls, message: api.ConfigureRequest, timeout_ns: int = 0) -> RuntimeInfo:
        """From the Configure request; timeouts are in milliseconds there, 0 = not told (NRI < 0.7).

        `timeout_ns` is what was left of the request timeout when the runtime sent it: the next best source.
        """
        told_s = message.request_timeout / 1000 if message.request_timeout > 0 else timeout_ns / 1e9
        return cls(
            message.runtime_name,
            message.runtime_version,
            nri_version(message.runtime_name, message.runtime_version, message.NRI_version),
            told_s if told_s > 0 else DEFAULT_REQUEST_TIMEOUT_S,
        )

    @property
    def no_limit_bytes(self) -> int:
        """What it takes for a memory limit that is none. CRI-O since 1.33.13 fails kubelet's update over a negative one in our answer."""
        return MOST_BYTES if self.name in CRIO_NAMES else UNLIMITED

    @property
    def record_route(self) -> str:
        """How the runtime's stored spec is brought to agree with what was written, without a risk to the node (push.md)."""
        if has(self.nri, Feature.SAFE_UNSOLICITED_UPDATES):
            return UNSOLICITED
        # From NRI 0.7 on a registration waits for every graceful stop; before 0.6.1 it can freeze the runtime for good.
        calm = has(self.nri, Feature.REGISTRATION_DEADLOCK_FIXED) and not has(self.nri, Feature.SPLIT_SYNC)
        return RESYNC if calm and self.name in CONTAINERD_NAMES else REPLY
