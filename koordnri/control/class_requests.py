"""What a pod requests of the resources that its priority class stands for: koord-mid of mid resources, koord-batch of batch resources.

Source: koordlet's GetRequestTypeAndValueFromPod. The scheduler has counted the pod's spec, so only that counts.
"""

from __future__ import annotations

from typing import NamedTuple

from koordnri.control.requests import amount_of
from koordnri.model import Pod, quantity_value
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, MID_CPU, MID_MEMORY
from koordnri.model.priority import PriorityClass, priority_class

_RESOURCES = {PriorityClass.BATCH: (BATCH_CPU, BATCH_MEMORY), PriorityClass.MID: (MID_CPU, MID_MEMORY)}


class ClassRequests(NamedTuple):
    """Sums over containers and sidecars; 0: none, or unknown."""

    cpu_milli: int = 0
    memory_bytes: int = 0


NO_CLASS_REQUESTS = ClassRequests()


def class_requests(pod: Pod) -> ClassRequests:
    """Nothing for the classes koord-prod and koord-free, and without the spec. A quantity that cannot be parsed counts as none."""
    if pod.spec is None or (names := _RESOURCES.get(priority_class(pod, pod.spec.priority))) is None:
        return NO_CLASS_REQUESTS
    lasting = [one.requests for one in pod.spec.containers.values() if not one.init]
    return ClassRequests(*(sum(amount_of(one, name, quantity_value) for one in lasting) for name in names))
