"""The pods that `koordnri release` gave back to kubelet. Nothing is kept of it: when the daemon restarts, it decides them again."""

from __future__ import annotations

from koordnri.model import NodeState, Pod
from koordnri.state.ledger import Ledger

UNTIL = "until koordnri's daemon restarts"
"""how long they are left alone"""


def released_pods(ledger: Ledger, node: NodeState) -> list[Pod]:
    """Those that are on the node now, by namespace and name."""
    if not node.released:
        return []
    return sorted((pod for pod in ledger.pods() if node.has_released(pod)), key=lambda pod: (pod.namespace, pod.name))


def released_text(ledger: Ledger, node: NodeState) -> str:
    """One sentence for people; "" when nothing was released."""
    if "*" in node.released:
        return f"all pods of this node, and those that come, are left to kubelet {UNTIL}"
    pods = released_pods(ledger, node)
    if not pods:
        return ""
    names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods[:_MOST_NAMED])
    more = f" and {len(pods) - _MOST_NAMED} more" if len(pods) > _MOST_NAMED else ""
    return f"{names}{more} {'is' if len(pods) == 1 else 'are'} left to kubelet {UNTIL}"


_MOST_NAMED = 10
