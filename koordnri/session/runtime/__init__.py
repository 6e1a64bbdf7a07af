"""An embedded NRI runtime, for `simulate`, tests and benchmarks: a plugin cannot tell it from a real one, but by its containers.

Belongs here: the runtime's side of the protocol, the merging of plugins' answers, their application to specs, faults on demand.
Does not belong here: hooks, decisions, anything of our own plugin's side; real containers.
"""

from koordnri.session.runtime.errors import CRIError
from koordnri.session.runtime.faults import Faults
from koordnri.session.runtime.kernel import Kernel
from koordnri.session.runtime.peer import Peer
from koordnri.session.runtime.plugins import Call
from koordnri.session.runtime.runtime import LATEST, Runtime
from koordnri.session.runtime.state import ContainerState, PodState

__all__ = ["LATEST", "CRIError", "Call", "ContainerState", "Faults", "Kernel", "Peer", "PodState", "Runtime"]
