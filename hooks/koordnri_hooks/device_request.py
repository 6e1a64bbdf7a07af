"""Whether a pod's spec requests the devices that its annotation claims.

Whoever creates a pod may write its annotations. What the spec requests has passed the scheduler, quotas and admission.
"""

from __future__ import annotations

from collections.abc import Collection

from koordnri.model import Pod, parse_quantity

MAY_BE_ITS_OWN = "its annotation may be its owner's own work; see koordnri-config.hooks.gpu.requireRequest"


def why_not_requested(pod: Pod, kind: str, domains: Collection[str], so: str = MAY_BE_ITS_OWN) -> str:
    """Why devices of a kind (`gpu`: koordinator.sh/gpu, gpu-core, gpu.shared …) must not be given; "" when a container requests them, or
    an extended resource of these domains. `so`: what follows, and which key of the policy says that."""
    if pod.spec is None:
        return f"the pod's spec, which only the API server has, is not known, so that {so}"
    own = f"koordinator.sh/{kind}"
    for container in pod.spec.containers.values():
        for resources in (container.requests, container.limits):
            for name, amount in resources.items():
                domain, _, rest = name.partition("/")
                if (domain in domains or name == own or name.startswith((f"{own}-", f"{own}."))) and rest:
                    try:
                        if parse_quantity(amount) > 0:
                            return ""
                    except ValueError:
                        continue
    return f"the pod's spec requests no {own}, so that {so}"
