"""Policy: the operator's configuration, typed, checked and merged for one node.

Belongs here: the schema of Koordinator's `slo-controller-config` and of our own `koordnri-config` (one file per key), reading it from text
with every mistake named by its path, and merging it for a node. The same reader checks pod annotations.
Does not belong here: what a value means for a container (hooks), how the text comes over the network (kube).

The event path only reads attributes of `Policy`, and decodes annotations with `decode`.
"""

from koordnri.policy.document import PolicyDocument, load_data, load_policy
from koordnri.policy.errors import DocumentError, Mistake, PolicyError
from koordnri.policy.memory_qos import MemoryQOS, PodMemoryQOS, merge_memory_qos, recommended_memory_qos
from koordnri.policy.policy import DEFAULT_POLICY, Policy, resolve
from koordnri.policy.reserved import without_reserved
from koordnri.policy.source import read_policy

__all__ = [
    "DEFAULT_POLICY",
    "DocumentError",
    "MemoryQOS",
    "Mistake",
    "PodMemoryQOS",
    "Policy",
    "PolicyDocument",
    "PolicyError",
    "load_data",
    "load_policy",
    "merge_memory_qos",
    "read_policy",
    "recommended_memory_qos",
    "resolve",
    "without_reserved",
]
