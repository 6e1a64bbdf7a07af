"""The parts of a Pod manifest that reach the runtime. Read by the policy's reader, so that mistakes are reported alike.

Other keys, of which there are hundreds, are ignored: a runtime never sees them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, field

from koordnri.model import quantity_milli, quantity_value
from koordnri.policy.errors import shown
from koordnri.policy.reader import Document
from koordnri.policy.units import Text

DEFAULT_SCHEDULER = "default-scheduler"
"""What the API server writes where a pod names no scheduler."""
CPU = "cpu"
MEMORY = "memory"
MOST_MILLI_CPU = 10**9
"""Largest amount accepted, a million CPUs, so that quotas stay within the kernel's range."""
_MOST = 2**63 - 1

Quantities = Mapping[str, str | int | float]


class ResourceRequirements(Document, frozen=True):
    """`resources` of a container or of the pod: resource name → quantity as written."""

    requests: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)

    def request(self, resource: str) -> int | None:
        """Milli-cores for `cpu`, otherwise whole units; with a limit only, the limit (as in the API server); None without either."""
        return _amount(resource, self.requests.get(resource, self.limits.get(resource)))

    def limit(self, resource: str) -> int | None:
        """Likewise; None when there is none."""
        return _amount(resource, self.limits.get(resource))

    def check(self) -> Iterator[tuple[str, str]]:
        for kind, quantities in (("requests", self.requests), ("limits", self.limits)):
            for path, problem in check_quantities(quantities):
                yield f"{kind}.{path}", problem


class EnvVar(Document, frozen=True):
    """One variable. With valueFrom only kubelet knows its value, and the messages lack it."""

    name: Text
    value: str = ""
    value_from: Any = None


class ContainerManifest(Document, frozen=True):
    """One entry of containers or initContainers."""

    name: Text
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    restart_policy: str = ""

    @property
    def sidecar(self) -> bool:
        """Whether an init container keeps running beside the others."""
        return self.restart_policy == "Always"


class PodSpecManifest(Document, frozen=True):
    """`spec`."""

    containers: tuple[ContainerManifest, ...]
    init_containers: tuple[ContainerManifest, ...] = ()
    runtime_class_name: str = ""
    priority_class_name: str = ""
    overhead: dict[str, Any] = field(default_factory=dict)
    resource_claims: tuple[Any, ...] = ()
    resources: ResourceRequirements | None = None
    """of the pod as a whole (Kubernetes 1.34)"""
    scheduler_name: str = ""
    service_account_name: str = ""
    termination_grace_period_seconds: Annotated[int, Meta(ge=0)] = 30

    @property
    def all_containers(self) -> tuple[ContainerManifest, ...]:
        """All containers in the order of their creation."""
        return self.init_containers + self.containers

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.containers:
            yield "containers", "expected at least one container, got none"
        seen: set[str] = set()
        for key, containers in (("initContainers", self.init_containers), ("containers", self.containers)):
            for index, container in enumerate(containers):
                if container.name in seen:
                    yield f"{key}[{index}].name", f"a second container of the name {shown(container.name)}"
                seen.add(container.name)
        for path, problem in check_quantities(self.overhead):
            yield f"overhead.{path}", problem


class ManifestMetadata(Document, frozen=True):
    """`metadata`."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


class PodManifest(Document, frozen=True):
    """A pod that the API server would accept."""

    spec: PodSpecManifest
    metadata: ManifestMetadata = ManifestMetadata()


def check_quantities(quantities: Quantities) -> Iterable[tuple[str, str]]:
    """(resource, what is wrong) for each value that is no quantity, negative, or more than any machine has."""
    for resource, text in quantities.items():
        try:
            amount = _amount(resource, text)
        except ValueError:
            yield resource, f"expected a quantity such as 500m, 2 or 1Gi, got {shown(text)}"
            continue
        assert amount is not None
        most = MOST_MILLI_CPU if resource == CPU else _MOST
        if amount < 0:
            yield resource, f"expected a quantity of 0 or more, got {shown(text)}"
        elif amount > most:
            yield resource, f"expected a quantity up to {most // 1000 if resource == CPU else most}, got {shown(text)}"


def _amount(resource: str, text: str | int | float | None) -> int | None:
    if text is None:
        return None
    if not isinstance(text, str | int | float):
        raise ValueError("not a quantity")
    return quantity_milli(text) if resource == CPU else quantity_value(text)
