"""What a runtime says about itself in Configure."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.model import UNLIMITED
from koordnri.reconcile.recorder import REPLY, RESYNC, UNSOLICITED
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import CONTAINERD_NAMES, CRIO_NAMES, OLDEST, Feature, Version, has, nri_version

MOST_BYTES = 0x7FFFFFFFFFFFF000
"""The largest memory limit in whole pages of 4 KiB; a kernel with larger pages rounds it down to its own."""
DEFAULT_REQUEST_TIMEOUT_S = 2.0
"""The timeout of runtimes that send none (NRI < 0.7)."""


class RuntimeInfo(NamedTuple):
    """Name, version, NRI version inferred from them, and how long (s) the runtime waits for an answer."""

    name: str = ""
    version: str = ""
    nri: Version = OLDEST
    request_timeout_s: float = DEFAULT_REQUEST_TIMEOUT_S

    @classmethod
    def of(cls, message: api.ConfigureRequest, timeout_ns: int = 0) -> RuntimeInfo:
        """From the Configure request. Timeouts there are in ms; 0: not sent (NRI < 0.7).

        `timeout_ns`: the rest of the request timeout when the runtime sent the request, the next best source.
        """
        timeout_s = message.request_timeout / 1000 if message.request_timeout > 0 else timeout_ns / 1e9
        return cls(
            message.runtime_name,
            message.runtime_version,
            nri_version(message.runtime_name, message.runtime_version, message.NRI_version),
            timeout_s if timeout_s > 0 else DEFAULT_REQUEST_TIMEOUT_S,
        )

    @property
    def no_limit_bytes(self) -> int:
        """The runtime's value for no memory limit. CRI-O since 1.33.13 fails kubelet's update when our answer has a negative one."""
        return MOST_BYTES if self.name in CRIO_NAMES else UNLIMITED

    @property
    def record_route(self) -> str:
        """The safe route by which the runtime's stored spec follows the written values (push.md)."""
        if has(self.nri, Feature.SAFE_UNSOLICITED_UPDATES):
            return UNSOLICITED
        # From NRI 0.7 on a registration waits for every graceful stop in progress; before 0.6.1 it can freeze the runtime for good.
        calm = has(self.nri, Feature.REGISTRATION_DEADLOCK_FIXED) and not has(self.nri, Feature.SPLIT_SYNC)
        return RESYNC if calm and self.name in CONTAINERD_NAMES else REPLY
