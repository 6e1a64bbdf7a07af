"""The one place that decides: runs the hooks in their order over a snapshot of policy and node, and collects the decision.

Belongs here: the chain, what it reads (`Snapshot`), the hooks that are installed. Does not belong here: what a single hook decides.
"""

from koordnri.chain.chain import BUCKET_BOUNDS_NS, Chain, ContainerRefused, HookStats
from koordnri.chain.loading import ChainError, load_hooks
from koordnri.chain.snapshot import Snapshot

__all__ = ["BUCKET_BOUNDS_NS", "Chain", "ChainError", "ContainerRefused", "HookStats", "Snapshot", "load_hooks"]
