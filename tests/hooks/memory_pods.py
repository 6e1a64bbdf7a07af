"""Policies and pods for the memory hook."""

from koordnri.model import NodeState, Resources
from tests.support.pods import BESTEFFORT, GUARANTEED, pod
from tests.support.policies import policy_of

SPEC = "node.koordinator.sh/extended-resource-spec"
QOS = "koordinator.sh/memoryQOS"
MEMORY = "kubernetes.io/batch-memory"
MI, GI = 1 << 20, 1 << 30
NODE = NodeState(memory_bytes=16 * GI)
DEFAULT = policy_of()


def classes(**by_class):
    """Policy with memoryQOS (minLimitPercent, lowLimitPercent, throttlingPercent) enabled for some classes."""
    names = ("minLimitPercent", "lowLimitPercent", "throttlingPercent")
    strategy = {
        f"{name}Class": {"memoryQOS": {"enable": True, **dict(zip(names, percents, strict=True))}}
        for name, percents in by_class.items()
    }
    return policy_of(resource_qos_config={"clusterStrategy": strategy})


def batch(request=None, limit=None):
    return {kind: {MEMORY: amount} for kind, amount in (("requests", request), ("limits", limit)) if amount is not None}


def be(annotations=None, **containers):
    return pod("BE", BESTEFFORT, {SPEC: {"containers": containers}, **(annotations or {})})


def guaranteed(qos="LSR", limit=None, **annotations):
    resources = Resources(memory_limit=limit)
    return pod(qos, GUARANTEED, annotations, resources=resources)


NO_WATERMARKS = {"memory.wmark_ratio": "this kernel has no memory.wmark_ratio"}
ALL_CLASSES = classes(lsr=(10, 0, 0), ls=(20, 0, 0), be=(30, 0, 0), system=(40, 0, 0))
