"""Kernel parameters of the container's own namespaces: `sysctl.noderesource.dev`, a map of name → value.

The runtime refuses a container for any other parameter, and for those of the network in a pod with the host's network.
"""

from __future__ import annotations

from koordnri.model import injection
from koordnri.model.fields import SYSCTL
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

_IPC = ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
NAMES = frozenset((*(f"kernel.{name}" for name in _IPC), "kernel.domainname"))
PREFIXES = ("net.", "fs.mqueue.")
MOST = 256


def _give(injecting: Injecting, values: dict[str, str | int] | None) -> None:
    injecting.at_most(MOST, values, "parameters")
    for name, value in (values or {}).items():
        # `net/ipv4/ip_forward` is another spelling, which sysctl(8) and runtimes know.
        if name.replace("/", ".") not in NAMES and not name.replace("/", ".").startswith(PREFIXES):
            expected = ", ".join((*PREFIXES, *sorted(NAMES)))
            raise injecting.wrong(f'expected parameters of a container\'s namespaces ({expected}), got "{name[:80]}"')
        injecting.put(SYSCTL, {"linux": {"sysctl": {name: str(value)}}}, str(value), name)


KIND = Kind(injection.SYSCTL, (SYSCTL,), yaml_of(dict[str, str | int]), _give)
