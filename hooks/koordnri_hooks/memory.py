"""Memory: memory.limit, memory.min, memory.low, memory.high, memory.oom.group, and what only Alibaba's kernels have.

BE limits come from batch-memory. Everything else comes from the class (label, else Kubernetes' class mapped to LSR, LS, BE) and the
pod's annotation `koordinator.sh/memoryQOS`, which counts whether or not the class is enabled:

    memory.min  = request × minLimitPercent
    memory.low  = request × lowLimitPercent, but not below memory.min
    memory.high = request + (limit − request) × throttlingPercent, rounded down to a page, at least memory.min and one page;
                  without a limit, the node's memory counts as the limit. Containers only
    memory.oom.group = oomKillGroup, only if set: kubelet sets it on v2, and Koordinator's default of 0, which means "not asked",
                  would undo that
    wmarkRatio, wmarkScalePermill, wmarkMinAdj, priority, priorityEnable unchanged; pageCacheLimit* of the pod, whose containers
                  share it

While the node is short of memory, the memory staircase may want a lower memory.high of best-effort containers (memory_ceiling.py).

A percent of 0 asks for nothing: the field is left alone, unless kubelet set it; then it is reset. A vendor's file that would get the
kernel's own default is treated likewise.

The kernel protects a container only within the protection of its parents. So min and low are also set on the pod and on the cgroup of its
QoS class, which gets the sum of its pods. The Guaranteed class is the cgroup of all pods and gets the sum of all. A pod whose request is
not known is not protected and adds nothing. A pod with its own resources (spec.resources) uses those. kubelet gives its limit to containers
without one; they are throttled where the pod would be, and protected only by their own requests. The kernel shares the rest of the pod's
protection among them. A BE pod's limit includes its RuntimeClass overhead. Priorities compare siblings, so the classes have them, too.

An application outside of pods has no request. Its memory limit stands for it in min and low, and high is a share of the limit, or of the
node's memory. Its parents are not ours, and may protect it from nobody.

A memoryQOS that cannot be parsed leaves the class's values in force. Batch resources that cannot be parsed leave limit, min, low and high
unchanged. oom_score.py decides oom_score_adj, system_config.py sysctls. Source: koordinator.md 5.2, 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from koordnri.hook import ClassContext, ContainerContext, Hook, HostContext, PodContext, RootContext
from koordnri.model import UNLIMITED, AnnotationError, Pod, QoSClass, fields
from koordnri.model.annotations import BATCH_MEMORY, MEMORY_QOS_KEY
from koordnri.model.decision import NEW
from koordnri.model.errors import PodError
from koordnri.model.fields import MEMORY_HIGH, MEMORY_LIMIT, MEMORY_LOW, MEMORY_MIN, Field
from koordnri.model.phases import most_together
from koordnri_hooks.alibaba_memory import limit_page_cache, prioritize, set_reclaim
from koordnri_hooks.batch import MOST, batch_of, batches_of, leave, overhead_of
from koordnri_hooks.memory_ceiling import hold_down
from koordnri_hooks.memory_request import NO_REQUEST, limit_is_the_pods, pod_request, request_of, whole_request
from koordnri_hooks.oom_score import set_oom_score
from koordnri_hooks.system_config import set_memory_sysctls

if TYPE_CHECKING:
    from koordnri.model.pod import PodSpec
    from koordnri.model.resources import Resources
    from koordnri.policy import MemoryQOS, Policy

_Context = ContainerContext | PodContext

NO_BATCH = "BE, but no batch resources are known of it"
NO_HOST_LIMIT = "it has neither a request nor a memory limit that the percent could be of"
NO_MEMORY = "needs a memory limit or the node's memory, and neither is known"
_MOST_NAMED = 3
_OF_BATCH = (MEMORY_LIMIT, MEMORY_MIN, MEMORY_LOW, MEMORY_HIGH)
_MOST = MOST[BATCH_MEMORY]
_ADDS = "memory: what the pod adds to its class's protection"


class Memory(Hook):
    """Memory; the module describes it."""

    name = "memory"
    order = 30
    owns = (
        fields.MEMORY_LIMIT,
        fields.MEMORY_MIN,
        fields.MEMORY_LOW,
        fields.MEMORY_HIGH,
        fields.MEMORY_OOM_GROUP,
        fields.MEMORY_WMARK_RATIO,
        fields.MEMORY_WMARK_SCALE,
        fields.MEMORY_WMARK_MIN_ADJ,
        fields.MEMORY_PRIORITY,
        fields.MEMORY_PRIORITY_OOM,
        fields.PAGE_CACHE_SIZE,
        fields.PAGE_CACHE_SYNC,
        fields.PAGE_CACHE_ENABLE,
        fields.OOM_SCORE_ADJ,
        fields.VM_MIN_FREE,
        fields.VM_WATERMARK_SCALE,
        fields.MEMCG_REAPER,
        fields.PAGE_CACHE_LIMIT,
    )

    def decide(self, ctx: ContainerContext) -> None:
        set_oom_score(ctx)
        qos = _memory_qos(ctx)
        if qos is not None:
            _set_plain(ctx, qos)
        try:
            limit = _limit(ctx)
        except PodError as error:
            leave(ctx, error, *_OF_BATCH)
            return
        if qos is not None:
            _set_qos(ctx, qos, limit)
        if ctx.node.control.memory_high_bytes:
            hold_down(ctx, limit)

    def decide_pod(self, ctx: PodContext) -> None:
        qos = _memory_qos(ctx)
        if qos is not None:
            _set_plain(ctx, qos)
        try:
            limit = _pods_limit(ctx)
        except PodError as error:
            leave(ctx, error, *_OF_BATCH)
            return
        if qos is not None:
            limit_page_cache(ctx, qos, limit)
            _protect(ctx, qos, pod_request(ctx.pod, limit))

    def decide_root(self, ctx: RootContext) -> None:
        """Sysctls of memory."""
        set_memory_sysctls(ctx)

    def decide_host(self, ctx: HostContext) -> None:
        of_class = ctx.policy.qos.of(ctx.qos)
        if of_class is None or not of_class.memory.enable:
            return
        qos, limit = of_class.memory, ctx.baseline.memory_limit or UNLIMITED
        _set_plain(ctx, qos)
        limit_page_cache(ctx, qos, limit)
        least = _protect_host(ctx, qos, limit)
        if qos.throttling_percent and (most := limit if limit > 0 else ctx.node.memory_bytes) > 0:
            page = ctx.node.page_bytes
            high = most * qos.throttling_percent // 100 // page * page
            ctx.set(MEMORY_HIGH, max(high, least, page), "memoryQOS throttlingPercent")

    def decide_class(self, ctx: ClassContext) -> None:
        prioritize(ctx)
        least = low = 0
        unknown: list[str] = []
        for pod in ctx.pods:
            try:
                protection = _pods_protection(ctx.policy, pod)
            except PodError:  # reported where the pod itself is decided
                protection = None
            if protection is None:
                unknown.append(f"{pod.namespace}/{pod.name}")
            else:
                least, low = least + protection.least, low + protection.low
        for field, value in ((MEMORY_MIN, least), (MEMORY_LOW, low)):
            if value:
                ctx.set(field, min(value, _MOST), "sum of its pods'")
        if unknown:
            ctx.skip("pods", f"not protected, because their memory request or memoryQOS is not known: {_some(unknown)}")


def _set_qos(ctx: ContainerContext, qos: MemoryQOS, limit: int) -> None:
    """Decide memory.min, low and high of one container. `limit`: its memory limit in bytes, -1 for none. Raises PodError."""
    pod = ctx.pod
    request = request_of(pod, ctx.container.name, limit)
    least = _protect(ctx, qos, request)
    if not qos.throttling_percent:
        _take_back(ctx, MEMORY_HIGH, UNLIMITED)
    elif request is None:
        ctx.skip(MEMORY_HIGH, NO_REQUEST)
    elif (most := limit if limit > 0 else ctx.node.memory_bytes) <= 0:
        ctx.skip(MEMORY_HIGH, NO_MEMORY)
    else:
        if limit_is_the_pods(pod, ctx.container.name):
            # It may use all of the pod's memory, so it is throttled where the pod would be.
            request = max(request, whole_request(pod) or 0)
        page = ctx.node.page_bytes
        high = request + max(most - request, 0) * qos.throttling_percent // 100
        ctx.set(MEMORY_HIGH, max(high // page * page, least, page), "memoryQOS throttlingPercent")


def _limit(ctx: ContainerContext) -> int:
    """The container's memory limit in bytes, -1 for none; decided here for BE. Raises PodError."""
    if ctx.pod.qos is QoSClass.BE:
        batch = batch_of(ctx.pod, ctx.container.name, BATCH_MEMORY)
        if batch is not None:
            limit = batch.limit or UNLIMITED
            ctx.set(MEMORY_LIMIT, limit, "batch-memory limit" if batch.limit else "no batch-memory limit")
            return limit
        ctx.skip(MEMORY_LIMIT, NO_BATCH)
    return ctx.baseline.memory_limit or UNLIMITED


def _pods_limit(ctx: PodContext) -> int:
    """The pod's memory limit, likewise."""
    if ctx.pod.qos is QoSClass.BE:
        limits = {name: b.limit or 0 for name, b in batches_of(ctx.pod, BATCH_MEMORY).items()}
        if 0 in limits.values():
            ctx.set(MEMORY_LIMIT, UNLIMITED, "a container without batch-memory limit")
            return UNLIMITED
        if limits:
            overhead = overhead_of(ctx.pod, BATCH_MEMORY)
            limit = min(most_together(ctx.pod, limits) + overhead, _MOST)
            reason = "sum of batch-memory limits"
            ctx.set(MEMORY_LIMIT, limit, f"{reason}, and RuntimeClass overhead" if overhead else reason)
            return limit
        ctx.skip(MEMORY_LIMIT, NO_BATCH)
    return ctx.baseline.memory_limit or UNLIMITED


class Protection(NamedTuple):
    """Protected bytes; 0: none."""

    least: int
    low: int


_NO_PROTECTION = Protection(0, 0)


def protection_of(qos: MemoryQOS, request: int) -> Protection:
    """memory.min and memory.low for a request in bytes."""
    least = request * qos.min_limit_percent // 100
    low = request * qos.low_limit_percent // 100
    return NEW(Protection, (least, max(low, least) if low else 0))


def _pods_protection(policy: Policy, pod: Pod) -> Protection | None:
    """What a pod adds to its class's protection; None when its request is not known. Raises PodError.

    Kept with the pod: whenever another one comes or goes, the classes add up all their pods again.
    """
    known: tuple[Policy, PodSpec | None, Resources, Protection | None] | None = pod.parsed.get(_ADDS)
    if known is not None and known[0] is policy and known[1] is pod.spec and known[2] is pod.resources:
        return known[3]
    protection = _protection_below_class(policy, pod)
    pod.parsed[_ADDS] = (policy, pod.spec, pod.resources, protection)
    return protection


def _protection_below_class(policy: Policy, pod: Pod) -> Protection | None:
    try:
        qos = _asked(policy, pod)
    except AnnotationError:  # reported where the pod itself is decided
        qos = _asked_of_class(policy, pod)
    if qos is None or not (qos.min_limit_percent or qos.low_limit_percent):
        return _NO_PROTECTION
    request = pod_request(pod, pod.resources.memory_limit or UNLIMITED)
    return None if request is None else protection_of(qos, request)


def _memory_qos(ctx: _Context) -> MemoryQOS | None:
    """As `_asked`; an error in the annotation is reported."""
    try:
        return _asked(ctx.policy, ctx.pod)
    except AnnotationError as error:
        ctx.error(error)
        return _asked_of_class(ctx.policy, ctx.pod)


def _asked(policy: Policy, pod: Pod) -> MemoryQOS | None:
    """None when neither class nor pod asks for anything. The pod's policy `none` does ask: for resetting what kubelet set.

    Raises AnnotationError; then `_asked_of_class` applies.
    """
    qos: MemoryQOS = policy.memory_qos(pod)
    return qos if qos.enable or MEMORY_QOS_KEY in pod.annotations else None


def _asked_of_class(policy: Policy, pod: Pod) -> MemoryQOS | None:
    qos: MemoryQOS = policy.class_memory_qos(pod)
    return qos if qos.enable else None


def _protect(ctx: _Context, qos: MemoryQOS, request: int | None) -> int:
    """Decide memory.min and memory.low; returns memory.min in bytes, 0 when nothing is protected."""
    least, low = protection_of(qos, request or 0)
    for field, percent, value, reason in (
        (MEMORY_MIN, qos.min_limit_percent, least, "memoryQOS minLimitPercent"),
        (MEMORY_LOW, qos.low_limit_percent, low, "memoryQOS lowLimitPercent"),
    ):
        if percent and request is None:
            ctx.skip(field, NO_REQUEST)
        elif value:
            ctx.set(field, value, reason)
        else:
            _take_back(ctx, field, 0)
    return least


def _protect_host(ctx: HostContext, qos: MemoryQOS, limit: int) -> int:
    """Decide memory.min and memory.low of a host application, as percents of its limit; returns memory.min in bytes."""
    least, low = protection_of(qos, max(limit, 0))
    for field, percent, value, reason in (
        (MEMORY_MIN, qos.min_limit_percent, least, "memoryQOS minLimitPercent"),
        (MEMORY_LOW, qos.low_limit_percent, low, "memoryQOS lowLimitPercent"),
    ):
        if value:
            ctx.set(field, value, reason)
        elif percent:
            ctx.skip(field, NO_HOST_LIMIT)
    return least


def _take_back(ctx: _Context, field: Field, neutral: int) -> None:
    """kubelet's MemoryQoS feature sets these files at creation. If the policy asks for nothing, reset them."""
    unified = ctx.baseline.unified
    if unified and field.name in unified:
        ctx.set(field, neutral, "memoryQOS asks for none, kubelet did")


def _set_plain(ctx: _Context | HostContext, qos: MemoryQOS) -> None:
    """Fields whose value is written unchanged, of containers, pods and host applications alike."""
    if qos.oom_kill_group is not None:
        ctx.set(fields.MEMORY_OOM_GROUP, qos.oom_kill_group, "memoryQOS oomKillGroup")
    set_reclaim(ctx, qos)


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
