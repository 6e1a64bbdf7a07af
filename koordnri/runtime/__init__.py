"""An embedded NRI runtime, for `simulate`, tests and benchmarks: a plugin cannot tell it from a real one, but by its containers.

Belongs here: the runtime's side of the protocol, the merging of plugins' answers, their application to specs, faults on demand.
Does not belong here: hooks, decisions, anything of our own plugin's side; real containers.
"""

from koordnri.runtime.errors import CRIError
from koordnri.runtime.faults import Faults
from koordnri.runtime.kernel import Kernel
from koordnri.runtime.peer import Peer
from koordnri.runtime.plugins import Call
from koordnri.runtime.runtime import LATEST, Runtime
from koordnri.runtime.state import ContainerState, PodState

__all__ = ["LATEST", "CRIError", "Call", "ContainerState", "Faults", "Kernel", "Peer", "PodState", "Runtime"]
