"""BE pods with batch resources."""

from tests.support.pods import BESTEFFORT, pod

SPEC = "node.koordinator.sh/extended-resource-spec"
CPU, MEMORY = "kubernetes.io/batch-cpu", "kubernetes.io/batch-memory"


def batch(request=None, limit=None):
    entry = {}
    if request is not None:
        entry["requests"] = {CPU: request}
    if limit is not None:
        entry["limits"] = {CPU: limit}
    return entry


def be(**containers):
    return pod("BE", BESTEFFORT, {SPEC: {"containers": containers}})
