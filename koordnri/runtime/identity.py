"""Which runtime we imitate."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import CRIO_NAMES, NRI_BY_RUNTIME, SENDS_VERSION, Feature, Version, has, parse_version

_CHECKS_MEMORY_LIMIT = Version(1, 33, 13)


class RuntimeIdentity(NamedTuple):
    """Name, version and NRI version of a runtime, and its timeouts in s."""

    name: str
    version: str
    nri: Version
    request_timeout_s: float
    registration_timeout_s: float

    @property
    def is_crio(self) -> bool:
        """When a plugin fails, CRI-O fails other calls than containerd does (nri.md 3.4)."""
        return self.name in CRIO_NAMES

    @property
    def checks_memory_limit(self) -> bool:
        """Whether kubelet's update fails when plugins make the memory limit negative, as on CRI-O since 1.33.13."""
        version = parse_version(self.version)
        return self.is_crio and version is not None and version >= _CHECKS_MEMORY_LIMIT

    def configure_request(self, config: str) -> api.ConfigureRequest:
        """What Configure carries. Old runtimes send less."""
        request = api.ConfigureRequest(config=config, runtime_name=self.name, runtime_version=self.version)
        if has(self.nri, Feature.TIMEOUTS_SENT):
            request.request_timeout = round(self.request_timeout_s * 1000)
            request.registration_timeout = round(self.registration_timeout_s * 1000)
        if self.nri >= SENDS_VERSION:
            request.NRI_version = f"v{self.nri}"
        return request


def version_with(name: str, nri: Version) -> str:
    """A version of the runtime `name` that has this NRI version: before NRI 0.12 a plugin infers the NRI version from it.

    Raises ValueError when no release had it; then give name and version.
    """
    rows = NRI_BY_RUNTIME.get(name, ())
    for since, has_nri in reversed(rows):
        if has_nri <= nri:
            return f"{'' if name in CRIO_NAMES else 'v'}{since}"
    known = ", ".join(sorted(NRI_BY_RUNTIME))
    raise ValueError(
        f"no known version of the runtime {name} has NRI {nri}: expected one of {known} and NRI 0.2.0 or newer"
    )
