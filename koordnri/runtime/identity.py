"""Which runtime we imitate."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import CRIO_NAMES, NRI_BY_RUNTIME, TELLS_VERSION, Feature, Version, has, parse_version

_CHECKS_MEMORY_LIMIT = Version(1, 33, 13)


class RuntimeIdentity(NamedTuple):
    """Name, version and NRI version of a runtime, and how long it waits for a plugin."""

    name: str
    version: str
    nri: Version
    request_timeout_s: float
    registration_timeout_s: float

    @property
    def is_crio(self) -> bool:
        """CRI-O fails other calls than containerd does when a plugin fails (nri.md 3.4)."""
        return self.name in CRIO_NAMES

    @property
    def checks_memory_limit(self) -> bool:
        """Whether kubelet's update fails when plugins make its memory limit negative, as that of CRI-O does since 1.33.13."""
        version = parse_version(self.version)
        return self.is_crio and version is not None and version >= _CHECKS_MEMORY_LIMIT

    def configure_request(self, config: str) -> api.ConfigureRequest:
        """What a plugin is told in Configure; old runtimes tell less."""
        request = api.ConfigureRequest(config=config, runtime_name=self.name, runtime_version=self.version)
        if has(self.nri, Feature.TIMEOUTS_TOLD):
            request.request_timeout = round(self.request_timeout_s * 1000)
            request.registration_timeout = round(self.registration_timeout_s * 1000)
        if self.nri >= TELLS_VERSION:
            request.NRI_version = f"v{self.nri}"
        return request


def version_with(name: str, nri: Version) -> str:
    """A version of the runtime `name` that has this NRI version, for a plugin infers the one from the other before 0.12.

    Raises ValueError when no release had it, and then name and version must be given.
    """
    rows = NRI_BY_RUNTIME.get(name, ())
    for since, has_nri in reversed(rows):
        if has_nri <= nri:
            return f"{'' if name in CRIO_NAMES else 'v'}{since}"
    known = ", ".join(sorted(NRI_BY_RUNTIME))
    raise ValueError(
        f"no known version of the runtime {name} has NRI {nri}: expected one of {known} and NRI 0.2.0 or newer"
    )
