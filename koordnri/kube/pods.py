"""Watches this node's pods, for what NRI does not send about them, and for what changes after their creation.

Which containers exist, only NRI says. About 1 KB of a pod's 30 KB of JSON is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from koordnri.kube.api import Api
from koordnri.kube.errors import ApiRefused, Garbled, KubeError
from koordnri.kube.objects import Object
from koordnri.kube.resource import Resource
from koordnri.kube.watch import Watch
from koordnri.model.bounds import MOST_CHARACTERS, bounded_annotations, bounded_labels
from koordnri.model.log import Log
from koordnri.model.pod import ContainerSpec, PodSpec, path_inside

KEPT_DOMAINS = ("koordinator.sh", "koordnri.io", "koordnri.sh")
"""Annotations of these domains and their subdomains are kept. Others can be large (last-applied-configuration, service meshes) and decide
nothing here; a hook sees those as NRI sent them at the pod's creation."""

MOST_CONTAINERS = 256
"""of a pod's spec that are kept, and as many init containers"""
MOST_CLAIMS = 64
"""of a pod whose names are kept; more than are read (koordnri.kube.claims)"""
_COUNTED = frozenset(
    ("cpu", "memory", *(f"kubernetes.io/{kind}-{what}" for kind in ("batch", "mid") for what in ("cpu", "memory")))
)


class Requirements(msgspec.Struct):
    """`resources` of a container."""

    requests: dict[str, str | int | float] = {}
    limits: dict[str, str | int | float] = {}


class VolumeMount(msgspec.Struct):
    """A volume mounted in a container's file system; subPath and the rest are not read."""

    name: str
    mount_path: str = msgspec.field(name="mountPath")


class VolumeDevice(msgspec.Struct):
    """A volume that a container uses as a block device."""

    name: str
    device_path: str = msgspec.field(name="devicePath")


class ContainerInSpec(msgspec.Struct):
    """One container of the spec."""

    name: str
    resources: Requirements = msgspec.field(default_factory=Requirements)
    restart_policy: str = msgspec.field(default="", name="restartPolicy")
    """of an init container; Always: it keeps running beside the others"""
    volume_mounts: list[VolumeMount] | None = msgspec.field(default=None, name="volumeMounts")
    volume_devices: list[VolumeDevice] | None = msgspec.field(default=None, name="volumeDevices")


class Claim(msgspec.Struct):
    """A claim of a volume. Only its existence is read: the spec does not say to which PersistentVolume it resolves."""


class ResourceClaim(msgspec.Struct, rename="camel"):
    """A reference to a ResourceClaim object. In the spec it has no name if the object is made of a template: the status has it then."""

    resource_claim_name: str | None = None


class Volume(msgspec.Struct):
    """One volume of the pod. Behind a claim, kubelet's directory has another name; an ephemeral volume makes its own claim."""

    name: str
    claim: Claim | None = msgspec.field(default=None, name="persistentVolumeClaim")
    ephemeral: Claim | None = None


class PodManifestSpec(msgspec.Struct, rename="camel"):
    """`spec`."""

    containers: list[ContainerInSpec] = []
    init_containers: list[ContainerInSpec] | None = None
    volumes: list[Volume] | None = None
    resource_claims: list[ResourceClaim] | None = None
    resources: Requirements | None = None
    """of the pod as a whole (Kubernetes 1.34)"""
    overhead: dict[str, str | int | float] | None = None
    """of its RuntimeClass, as admission set it"""
    node_name: str = ""
    priority: int | None = None
    scheduler_name: str = ""
    service_account_name: str = ""


class PodStatus(msgspec.Struct):
    """`status`."""

    phase: str = ""
    claims: list[ResourceClaim] | None = msgspec.field(default=None, name="resourceClaimStatuses")
    """those of the spec that were made of templates"""
    made_claim: ResourceClaim | None = msgspec.field(default=None, name="extendedResourceClaimStatus")
    """the scheduler made a claim for extended resources; then the spec does not mention it"""


class PodObject(Object):
    """A Pod, limited to the fields that are read."""

    spec: PodManifestSpec = msgspec.field(default_factory=PodManifestSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What is kept of a pod. Equal facts are reported once."""

    uid: str
    """as the container runtime knows it; for a static pod this is not metadata.uid, see `runtime_uid`"""
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    """of KEPT_DOMAINS only"""
    spec: PodSpec
    phase: str
    claims: tuple[str, ...] = ()
    """names of its ResourceClaims, as far as they exist"""
    mirror: bool = False
    """whether it stands for a static pod, or claims to"""

    @property
    def key(self) -> str:
        """Identity of the pod on this node: the uid; for a static pod with its name, too, since whoever creates pods may write any uid into
        the annotation of a mirror pod.
        """
        return _mirror_key(self.uid, self.namespace, self.name) if self.mirror else self.uid

    def annotations_over(self, from_nri: Mapping[str, str]) -> dict[str, str]:
        """All current annotations: those from NRI, with those of KEPT_DOMAINS as the API server has them."""
        merged = {key: value for key, value in from_nri.items() if not is_kept(key)}
        merged.update(self.annotations)
        return merged


class _Known(NamedTuple):
    """What is kept of a pod of the API server, on whichever node."""

    own_uid: str
    """metadata.uid"""
    node_name: str
    facts: PodFacts

    @classmethod
    def of(cls, pod: PodObject) -> _Known:
        return cls(pod.metadata.uid, pod.spec.node_name, facts_of(pod))


class PodWatch:
    """Calls `on_changed(facts)` for new and changed pods, `on_removed(uid)` for removed ones, in its own thread, after updating `specs`.

    specs, pods   by `PodFacts.key`. Any thread may read them without a lock: they are replaced whole, or changed by one key at a time
    watch         what the caller starts and stops; keywords are passed to it
    read_claims   (namespace, names of ResourceClaims) → driver → CPUs, or a KubeError; called in the watch's thread. None: not read
    """

    def __init__(
        self,
        api: Api,
        node_name: str,
        on_changed: Callable[[PodFacts], None],
        on_removed: Callable[[str], None],
        log: Log,
        read_claims: Callable[[str, Sequence[str]], Mapping[str, int]] | None = None,
        **keywords: Any,
    ) -> None:
        self._read_claims = read_claims
        self._pods: dict[str, PodFacts] = {}
        self._specs: dict[str, PodSpec] = {}
        self.pods: Mapping[str, PodFacts] = MappingProxyType(self._pods)
        self.specs: Mapping[str, PodSpec] = MappingProxyType(self._specs)
        self._keys: dict[str, str] = {}
        """uid of the API object → key of what is kept of it"""
        self._node_name = node_name
        self._log = log
        self._on_changed = on_changed
        self._on_removed = on_removed
        resource = Resource("pods", "/api/v1/pods", "Pod", PodObject, _Known.of, f"spec.nodeName={node_name}")
        self.watch = Watch(api, resource, self, log, **keywords)

    def of(self, uid: str, namespace: str, name: str) -> PodFacts | None:
        """What is kept of a pod that the runtime reports; None when the API server does not know it (yet). Any thread may ask."""
        return self._pods.get(uid) or self._pods.get(_mirror_key(uid, namespace, name))

    def replaced(self, objects: Sequence[_Known]) -> None:
        """Sink."""
        listed = {item.own_uid: item for item in objects if item.node_name == self._node_name}
        for gone in [own for own in self._keys if own not in listed]:
            self._remove(gone)
        for item in listed.values():
            self._take(item)

    def changed(self, item: _Known) -> None:
        """Sink."""
        if item.node_name == self._node_name:
            self._take(item)

    def deleted(self, item: _Known) -> None:
        """Sink."""
        self._remove(item.own_uid)

    def _take(self, item: _Known) -> None:
        facts = item.facts
        if self._keys.get(item.own_uid, facts.key) != facts.key:
            self._remove(item.own_uid)
        self._keys[item.own_uid] = facts.key
        if facts.claims and self._read_claims is not None:
            facts = replace(facts, spec=self._with_claims(facts, self._read_claims))
        if facts == self._pods.get(facts.key):
            return
        self._specs[facts.key] = facts.spec
        self._pods[facts.key] = facts
        self._on_changed(facts)

    def _with_claims(self, facts: PodFacts, read: Callable[[str, Sequence[str]], Mapping[str, int]]) -> PodSpec:
        """The spec with what its claims were given. They are read when the pod first has them, and again while that fails or is nothing."""
        known = self._pods.get(facts.key)
        if known is not None and known.claims == facts.claims and known.spec.claimed_cpus:
            return replace(facts.spec, claimed_cpus=known.spec.claimed_cpus)
        try:
            return replace(facts.spec, claimed_cpus=read(facts.namespace, facts.claims))
        except (ApiRefused, Garbled) as error:
            problem = str(error)
        except KubeError:  # the server does not answer, so that the watch ends, too, and all pods come again
            problem = ""
        if known is None or known.spec.claims_problem != problem:
            self._log.warning("kube_claims_not_read", namespace=facts.namespace, pod=facts.name, error=problem)
        return replace(facts.spec, claims_problem=problem)

    def _remove(self, own_uid: str) -> None:
        key = self._keys.pop(own_uid, None)
        if key is None or key in self._keys.values():  # kubelet has made another mirror pod of the same static pod
            return
        self._specs.pop(key, None)
        if (facts := self._pods.pop(key, None)) is not None:
            self._on_removed(facts.uid)


STATIC_UID_KEY = "kubernetes.io/config.mirror"


def runtime_uid(pod: PodObject) -> str:
    """The uid that NRI reports. For a static pod that is kubelet's hash of its file. The API server's mirror pod has another uid, and
    the hash in an annotation.
    """
    return (pod.metadata.annotations or {}).get(STATIC_UID_KEY) or pod.metadata.uid


def _mirror_key(uid: str, namespace: str, name: str) -> str:
    return f"{uid} {namespace}/{name}"


def facts_of(pod: PodObject) -> PodFacts:
    """What is kept of a pod."""
    metadata, spec = pod.metadata, pod.spec
    claims = frozenset(v.name for v in spec.volumes or () if v.claim is not None or v.ephemeral is not None)
    containers = {
        c.name: _container(c, claims, init=c.restart_policy != "Always", sidecar=c.restart_policy == "Always")
        for c in (spec.init_containers or ())[:MOST_CONTAINERS]
    }
    containers |= {c.name: _container(c, claims) for c in spec.containers[:MOST_CONTAINERS]}
    return PodFacts(
        runtime_uid(pod),
        metadata.namespace,
        metadata.name,
        bounded_labels(metadata.labels or {}),
        bounded_annotations({key: value for key, value in (metadata.annotations or {}).items() if is_kept(key)}),
        _spec(pod, _bounded(containers)),
        pod.status.phase,
        tuple(dict.fromkeys(name for claim in _claims(pod) if (name := claim.resource_claim_name)))[:MOST_CLAIMS],
        bool((metadata.annotations or {}).get(STATIC_UID_KEY)),
    )


def _bounded(containers: dict[str, ContainerSpec]) -> dict[str, ContainerSpec]:
    """The containers themselves, unless the names of their resources and the paths of their volumes are too long in all: then of resources
    those that limit CPU and memory, and no paths. A pod may have 1.5 MB of them, which need 10 MB of memory.
    """
    parts = (part for c in containers.values() for part in (c.requests, c.limits, c.claimed))
    if sum(len(text) for part in parts for text in part) <= MOST_CHARACTERS:
        return containers
    return {
        name: replace(c, requests=_counted(c.requests), limits=_counted(c.limits), claimed={})
        for name, c in containers.items()
    }


def _counted(quantities: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    return {resource: text for resource, text in quantities.items() if resource in _COUNTED}


def _claims(pod: PodObject) -> list[ResourceClaim]:
    """References to all ResourceClaims of the pod; several may be to the same one."""
    made = [] if pod.status.made_claim is None else [pod.status.made_claim]
    return [*(pod.spec.resource_claims or ()), *(pod.status.claims or ()), *made]


def _spec(pod: PodObject, containers: Mapping[str, ContainerSpec]) -> PodSpec:
    spec = pod.spec
    whole = spec.resources or Requirements()
    return PodSpec(
        containers,
        bool(_claims(pod)),
        whole.requests,
        whole.limits,
        spec.overhead or {},
        spec.scheduler_name,
        spec.service_account_name,
        spec.priority,
        bool(pod.metadata.deletion_timestamp),
        of_daemon_set=any(
            one.kind == "DaemonSet" and one.controller is True for one in pod.metadata.owner_references or ()
        ),
    )


def is_kept(annotation: str) -> bool:
    """Whether an annotation with this key belongs to KEPT_DOMAINS."""
    domain = annotation.partition("/")[0]
    return domain.endswith(KEPT_DOMAINS) and any(domain == d or domain.endswith(f".{d}") for d in KEPT_DOMAINS)


def _container(
    container: ContainerInSpec, claims: frozenset[str], init: bool = False, sidecar: bool = False
) -> ContainerSpec:
    claimed = {}
    if claims:
        claimed = {path_inside(m.mount_path): m.name for m in container.volume_mounts or () if m.name in claims}
        claimed |= {path_inside(d.device_path): d.name for d in container.volume_devices or () if d.name in claims}
    return ContainerSpec(container.resources.requests, container.resources.limits, init, sidecar, claimed)
