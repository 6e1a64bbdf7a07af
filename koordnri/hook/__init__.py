"""The public interface of a hook: what a third party's package imports, and nothing else of koordnri.

Belongs here: `Hook`, the contexts that it is called with, and the plain values that it reads and sets.
Does not belong here: which hooks exist and in which order they run (chain), what a policy may contain (policy).
"""

from koordnri.hook.context import ClassContext, ContainerContext, HostContext, PodContext, RootContext
from koordnri.hook.interface import Hook
from koordnri.model import (
    UNLIMITED,
    AnnotationError,
    Container,
    CPUSet,
    Device,
    Event,
    Field,
    KubeQoS,
    Mount,
    NodeState,
    Pod,
    QoSClass,
    Resources,
    fields,
    parse_quantity,
    quantity_milli,
    quantity_value,
)

__all__ = [
    "UNLIMITED",
    "AnnotationError",
    "CPUSet",
    "ClassContext",
    "Container",
    "ContainerContext",
    "Device",
    "Event",
    "Field",
    "Hook",
    "HostContext",
    "KubeQoS",
    "Mount",
    "NodeState",
    "Pod",
    "PodContext",
    "QoSClass",
    "Resources",
    "RootContext",
    "fields",
    "parse_quantity",
    "quantity_milli",
    "quantity_value",
]
