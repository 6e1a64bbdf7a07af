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
from koordnri.model.log import Log
from koordnri.model.pod import ContainerSpec, PodSpec, path_inside

KEPT_DOMAINS = ("koordinator.sh", "koordnri.io", "koordnri.sh")
"""Annotations of these domains and their subdomains are kept. Others can be large (last-applied-configuration, service meshes) and decide
nothing here; a hook sees those as NRI sent them at the pod's creation."""


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
    priority: int | None
    phase: str
    claims: tuple[str, ...] = ()
    """names of its ResourceClaims, as far as they exist"""

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

    specs, pods   by uid. Any thread may read them without a lock: they are replaced whole, or changed by one key at a time
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
        self._holders: dict[str, str] = {}
        """uid as the runtime knows it → uid of the API object that it is read from"""
        self._node_name = node_name
        self._log = log
        self._on_changed = on_changed
        self._on_removed = on_removed
        resource = Resource("pods", "/api/v1/pods", "Pod", PodObject, _Known.of, f"spec.nodeName={node_name}")
        self.watch = Watch(api, resource, self, log, **keywords)

    def replaced(self, objects: Sequence[_Known]) -> None:
        """Sink."""
        listed = {item.own_uid: item for item in objects if item.node_name == self._node_name}
        for uid, holder in list(self._holders.items()):
            if holder not in listed or listed[holder].facts.uid != uid:
                self._remove(uid)
        for item in listed.values():
            self._take(item)

    def changed(self, item: _Known) -> None:
        """Sink."""
        if item.node_name == self._node_name:
            self._take(item)

    def deleted(self, item: _Known) -> None:
        """Sink."""
        uid = item.facts.uid
        if self._holders.get(uid) == item.own_uid:
            self._remove(uid)

    def _take(self, item: _Known) -> None:
        facts = item.facts
        uid, own = facts.uid, item.own_uid
        if self._holders.get(uid, own) != own and uid != own:
            # Whoever may create pods may set a static pod's annotation, and so claim another pod's uid.
            self._log.warning("kube_pod_claims_anothers_uid", namespace=facts.namespace, pod=facts.name, uid=uid)
            return
        self._holders[uid] = own
        if facts.claims and self._read_claims is not None:
            facts = replace(facts, spec=self._with_claims(facts, self._read_claims))
        if facts == self._pods.get(uid):
            return
        self._specs[uid] = facts.spec
        self._pods[uid] = facts
        self._on_changed(facts)

    def _with_claims(self, facts: PodFacts, read: Callable[[str, Sequence[str]], Mapping[str, int]]) -> PodSpec:
        """The spec with what its claims were given. They are read when the pod first has them, and again while that fails or is nothing."""
        known = self._pods.get(facts.uid)
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

    def _remove(self, uid: str) -> None:
        self._holders.pop(uid, None)
        self._specs.pop(uid, None)
        if self._pods.pop(uid, None) is not None:
            self._on_removed(uid)


STATIC_UID_KEY = "kubernetes.io/config.mirror"


def runtime_uid(pod: PodObject) -> str:
    """The uid that NRI reports. For a static pod that is kubelet's hash of its file. The API server's mirror pod has another uid, and
    the hash in an annotation.
    """
    return (pod.metadata.annotations or {}).get(STATIC_UID_KEY) or pod.metadata.uid


def facts_of(pod: PodObject) -> PodFacts:
    """What is kept of a pod."""
    metadata, spec = pod.metadata, pod.spec
    claims = frozenset(v.name for v in spec.volumes or () if v.claim is not None or v.ephemeral is not None)
    containers = {
        c.name: _container(c, claims, init=c.restart_policy != "Always", sidecar=c.restart_policy == "Always")
        for c in spec.init_containers or ()
    }
    containers |= {c.name: _container(c, claims) for c in spec.containers}
    return PodFacts(
        runtime_uid(pod),
        metadata.namespace,
        metadata.name,
        metadata.labels or {},
        {key: value for key, value in (metadata.annotations or {}).items() if is_kept(key)},
        _spec(pod, containers),
        spec.priority,
        pod.status.phase,
        tuple(dict.fromkeys(name for claim in _claims(pod) if (name := claim.resource_claim_name))),
    )


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
