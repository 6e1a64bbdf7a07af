"""Plain values: what a node, a pod, a container, a field and a decision are.

Belongs here: immutable or slotted values, their parsing and arithmetic.
Does not belong here: I/O, clocks, sockets, protobuf, locks, the policy's schema, anything that knows in which order things happen.
Hooks get these values from `koordnri.hook`.
"""

from koordnri.model import annotations, convert, fields
from koordnri.model.container import Container, Event
from koordnri.model.cpuset import CPUSet
from koordnri.model.decision import Decision, Setting
from koordnri.model.errors import AnnotationError, NodeError
from koordnri.model.fields import UNLIMITED, Device, Field, Mount
from koordnri.model.node import NodeState
from koordnri.model.pod import Pod
from koordnri.model.qos import KubeQoS, QoSClass
from koordnri.model.quantity import parse_quantity, quantity_milli, quantity_value
from koordnri.model.resources import Resources

__all__ = [
    "UNLIMITED",
    "AnnotationError",
    "CPUSet",
    "Container",
    "Decision",
    "Device",
    "Event",
    "Field",
    "KubeQoS",
    "Mount",
    "NodeError",
    "NodeState",
    "Pod",
    "QoSClass",
    "Resources",
    "Setting",
    "annotations",
    "convert",
    "fields",
    "parse_quantity",
    "quantity_milli",
    "quantity_value",
]
