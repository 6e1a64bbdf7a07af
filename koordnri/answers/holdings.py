"""`GET /v1/holdings`: which container has which exclusive CPUs of this node's, so that others can be decided beside them.

    [{"namespace", "pod", "uid", "container", "allocated", "lse"}]

`allocated`: the CPUs, those that others have yet to leave included, and the wish about neighbours: `2-3 PCPULevel`. Containers that have
ended for good are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from koordnri.cpus.holding import Holdings
from koordnri.model import Pod
from koordnri.model.allocated import Allocated


def list_holdings(held: Holdings, pods: Iterable[Pod]) -> list[dict[str, Any]]:
    """The list of the module. `pods`: all of the node; a holding of another pod is left out, for it is about to be dropped."""
    by_key = {pod.key: pod for pod in pods}
    return [
        {
            "namespace": pod.namespace,
            "pod": pod.name,
            "uid": key,
            "container": name,
            "allocated": str(Allocated(one.all, one.exclusive)),
            "lse": one.lse,
        }
        for key, of_pod in held.items()
        if (pod := by_key.get(key)) is not None
        for name, one in of_pod.items()
        if not one.spent
    ]
