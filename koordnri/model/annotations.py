"""Koordinator's annotations that a scheduler or webhook writes: keys, types, and checked decoding.

Those that people write by hand (`koordinator.sh/cpuBurst`, `cpuQOS`, `memoryQOS`, `blkioQOS`) have the policy's types and are decoded
there. All are read as Go reads them (koordnri.model.go_json). Source: koordinator.md 2 and 8.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from koordnri.model.decision import HookError
from koordnri.model.errors import NodeError, PodError, Problem
from koordnri.model.go_json import go_decoder

if TYPE_CHECKING:
    from koordnri.model.pod import Pod

T = TypeVar("T")
MAX_CHARACTERS = 16 * 1024
"""Longest annotation that is read, of a pod or a Node. The longest that Koordinator writes, for a hundred devices or containers, has as
many. Annotations are parsed on the event path, and the worst text of this length takes less than 5 ms there.
"""


class NUMANodeResource(msgspec.Struct, forbid_unknown_fields=True):
    """Resources that the scheduler took from one NUMA node."""

    node: int
    resources: dict[str, str | int | float] = {}


class ResourceStatus(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """`scheduling.koordinator.sh/resource-status`."""

    cpuset: str = ""
    numa_node_resources: list[NUMANodeResource] = []


class ExtendedContainer(msgspec.Struct, forbid_unknown_fields=True):
    """Batch resources of one container. batch-cpu is in milli-cores, batch-memory in bytes."""

    requests: dict[str, str | int | float] = {}
    limits: dict[str, str | int | float] = {}


class ExtendedResourceSpec(msgspec.Struct, forbid_unknown_fields=True):
    """`node.koordinator.sh/extended-resource-spec`: container name → batch resources."""

    containers: dict[str, ExtendedContainer] = {}


class VirtualFunction(msgspec.Struct, forbid_unknown_fields=True):
    """One SR-IOV function; bus_id is its PCI address."""

    minor: int = 0
    bus_id: str = msgspec.field(default="", name="busID")


class DeviceExtension(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Vendor details of an allocated device."""

    vfs: list[VirtualFunction] = []
    gpu_shared_resource_template: str = ""


class AllocatedDevice(msgspec.Struct, forbid_unknown_fields=True):
    """One device that the scheduler allocated to the pod."""

    minor: int
    id: str = ""
    resources: dict[str, str | int | float] = {}
    extension: DeviceExtension | None = None


class Annotation(Generic[T]):
    """One annotation: its key and decoder. Parsed once per pod; an error is kept, too."""

    __slots__ = ("_decode", "key")

    def __init__(self, key: str, decode: Callable[[str], T]) -> None:
        self.key = key
        self._decode = decode

    def of(self, pod: Pod) -> T | None:
        """The parsed annotation, None when the pod has none. Raises AnnotationError with the position of the mistake."""
        text = pod.annotations.get(self.key)
        if text is None:
            return None
        try:
            found = pod.parsed[self.key]
        except KeyError:
            found = pod.parsed[self.key] = self._parse(text)
        if isinstance(found, Problem):
            raise found.error()
        return found  # type: ignore[no-any-return]  # one cache has the values of all annotations

    def _parse(self, text: str) -> T | Problem:
        if len(text) > MAX_CHARACTERS:
            return Problem(f"expected at most {MAX_CHARACTERS} characters, got {len(text)}", self.key)
        try:
            return self._decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            problem = str(error)
            if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
                problem = _broken_json(text) or problem
            return Problem(f"{problem}; got {_excerpt(text)}", self.key)


def fault_of(hook: str, error: BaseException) -> HookError:
    """Whose fault a hook's exception is, by its type."""
    if isinstance(error, PodError):
        return HookError(hook, str(error), "pod")
    if isinstance(error, NodeError):
        return HookError(hook, str(error), "node")
    return HookError(hook, f"{type(error).__name__}: {error}", "bug")


MOST_SCORE = 1000
_decode_scores = go_decoder(dict[str, int])


def _score(text: str) -> int:
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 10 and abs(int(text)) <= MOST_SCORE):
        raise ValueError(f"expected a whole number from -{MOST_SCORE} to {MOST_SCORE}")
    return int(text)


def _int32(text: str) -> int:
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 10 and -(1 << 31) <= int(text) < 1 << 31):
        raise ValueError("expected a whole number of 32 bits")
    return int(text)


def _scores(text: str) -> dict[str, int]:
    scores: dict[str, int] = _decode_scores(text)
    for name, score in scores.items():
        if abs(score) > MOST_SCORE:
            raise ValueError(f"{name[:60]}: expected a whole number from -{MOST_SCORE} to {MOST_SCORE}, got {score}")
    return scores


def _broken_json(text: str) -> str:
    """Where the JSON is broken, because msgspec gives no position when a text ends too early; "" for other errors."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"broken JSON, line {error.lineno} column {error.colno}: {error.msg}"
    except RecursionError:
        return "broken JSON, nested too deep"
    except ValueError:  # an integer with thousands of digits
        pass
    return ""


def _excerpt(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


RESOURCE_STATUS = Annotation("scheduling.koordinator.sh/resource-status", go_decoder(ResourceStatus))
EXTENDED_RESOURCE_SPEC = Annotation("node.koordinator.sh/extended-resource-spec", go_decoder(ExtendedResourceSpec))
DEVICE_ALLOCATED = Annotation(
    "scheduling.koordinator.sh/device-allocated", go_decoder(dict[str, list[AllocatedDevice]])
)
OOM_SCORE_ADJ = Annotation("koordinator.sh/oom-score-adj", _score)
"""oom_score_adj of all containers of a pod"""
OOM_SCORE_ADJ_SPEC = Annotation("koordinator.sh/oom-score-adj-spec", _scores)
"""container → its oom_score_adj"""
EVICTION_POLICY = Annotation("koordinator.sh/eviction-policy", go_decoder(list[str]))
"""features that may evict the pod; without it all may"""
EVICTION_PRIORITY = Annotation("koordinator.sh/eviction-priority", _int32)
"""pods with a lower number are evicted first; without it 0"""
EVICTION_ENABLED_LABEL = "koordinator.sh/eviction-enabled"
"""`true`: features that evict others than BE pods may evict the pod."""
RESCTRL_KEY = "node.koordinator.sh/resctrl"
CPU_BURST_KEY = "koordinator.sh/cpuBurst"
CPU_QOS_KEY = "koordinator.sh/cpuQOS"
MEMORY_QOS_KEY = "koordinator.sh/memoryQOS"
BLKIO_QOS_KEY = "koordinator.sh/blkioQOS"
NETWORK_QOS_KEY = "koordinator.sh/networkQOS"
CPU_QUOTA_KEY = "koordnri.sh/cpu-quota"
"""Ours: `none` asks for no CFS quota."""
GPU_ISOLATION_LABEL = "koordinator.sh/gpu-isolation-provider"
BATCH_CPU = "kubernetes.io/batch-cpu"
BATCH_MEMORY = "kubernetes.io/batch-memory"
MID_CPU = "kubernetes.io/mid-cpu"
MID_MEMORY = "kubernetes.io/mid-memory"
