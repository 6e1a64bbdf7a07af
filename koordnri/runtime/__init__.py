"""An embedded NRI runtime for `simulate`, tests and benchmarks. To a plugin it behaves like a real one; its containers do not run.

Belongs here: the runtime's side of the protocol, merging the plugins' answers, applying them to specs, faults on demand.
Does not belong here: hooks, decisions, anything of our own plugin; real containers.
"""

from koordnri.runtime.errors import CRIError
from koordnri.runtime.faults import InjectedFaults
from koordnri.runtime.kernel_limits import KernelLimits
from koordnri.runtime.peer import Peer
from koordnri.runtime.plugins import Call
from koordnri.runtime.runtime import LATEST, Runtime
from koordnri.runtime.state import ContainerState, PodState

__all__ = [
    "LATEST",
    "CRIError",
    "Call",
    "ContainerState",
    "InjectedFaults",
    "KernelLimits",
    "Peer",
    "PodState",
    "Runtime",
]
