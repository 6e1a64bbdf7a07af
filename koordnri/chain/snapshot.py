"""What a decision reads besides the container: policy and node at one moment."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from koordnri.model import NodeState, Pod
from koordnri.policy import Policy, without_reserved
from koordnri.policy.trust import believed


class Snapshot(NamedTuple):
    """Replaced as a whole, never changed."""

    policy: Policy
    node: NodeState

    @classmethod
    def of(cls, policy: Policy, node: NodeState) -> Snapshot:
        """The snapshot of a node under a policy; the policy may add facts that the node's annotations lack."""
        if node.normalization_ratio is None and (ratio := policy.normalization.ratio_of(node)) is not None:
            node = replace(node, normalization_ratio=ratio)
        return cls(policy, without_reserved(policy, node))

    def believed(self, pod: Pod) -> Pod:
        """The pod without what the policy's trust rules refuse of its inputs; the same object when they refuse nothing new."""
        return believed(pod, self.policy.trust, self.node.namespace_labels.get(pod.namespace))
