"""Memory: memory.limit, memory.min, memory.low, memory.high.

Limits of BE come from batch-memory. Protection and throttling come from the class (label, else Kubernetes' class mapped to LSR, LS,
BE) and from the pod's annotation `koordinator.sh/memoryQOS`, honoured whether or not the class is enabled:

    memory.min  = request × minLimitPercent
    memory.low  = request × lowLimitPercent, but not below memory.min
    memory.high = request + (limit − request) × throttlingPercent, down to a whole page, but not below memory.min nor one page;
                  without a limit, that of the node's memory

A percent of 0 asks for nothing: the field is left alone, unless kubelet set it, which is then taken back.
NRI does not tell requests. They are known for BE (batch-memory), for Guaranteed (the limit) and BestEffort (none), and for others
once the pod's spec has been read.

min and low are set on the pod too, since the kernel protects a container only within what its parents protect.
A broken memoryQOS costs these three fields and leaves the limit. Source: koordlet.md 2.2, 3.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from koordnri.model import (
    UNLIMITED,
    AnnotationError,
    ContainerContext,
    Hook,
    KubeQoS,
    Pod,
    PodContext,
    QoSClass,
    fields,
    quantity_value,
)
from koordnri.model.annotations import BATCH_MEMORY, MEMORY_QOS_KEY
from koordnri.model.errors import PodError
from koordnri.model.fields import MEMORY_HIGH, MEMORY_LIMIT, MEMORY_LOW, MEMORY_MIN, Field
from koordnri.model.pod import ContainerSpec
from koordnri_hooks.batch import batch_of, batches_of

if TYPE_CHECKING:
    from koordnri.policy import MemoryQOS

_Context = ContainerContext | PodContext

NO_BATCH = "BE, but no batch resources are known of it"
NO_REQUEST = "memory request is not known: NRI does not carry it and the pod's spec has not been read"
NO_MEMORY = "needs a memory limit or the node's memory, and neither is known"


class Memory(Hook):
    """See the module."""

    name = "memory"
    order = 30
    owns = (fields.MEMORY_LIMIT, fields.MEMORY_MIN, fields.MEMORY_LOW, fields.MEMORY_HIGH)

    def decide(self, ctx: ContainerContext) -> None:
        pod = ctx.pod
        limit = ctx.baseline.memory_limit or UNLIMITED
        if pod.qos is QoSClass.BE:
            batch = batch_of(pod, ctx.container.name, BATCH_MEMORY)
            if batch is None:
                ctx.skip(MEMORY_LIMIT, NO_BATCH)
            else:
                limit = batch.limit or UNLIMITED
                ctx.set(MEMORY_LIMIT, limit, "batch-memory limit" if batch.limit else "no batch-memory limit")
        qos = _memory_qos(ctx)
        if qos is None:
            return
        request = _request(pod, ctx.container.name, limit)
        least = _protect(ctx, qos, request)
        if not qos.throttling_percent:
            _take_back(ctx, MEMORY_HIGH, UNLIMITED)
        elif request is None:
            ctx.skip(MEMORY_HIGH, NO_REQUEST)
        elif (most := limit if limit > 0 else ctx.node.memory_bytes) <= 0:
            ctx.skip(MEMORY_HIGH, NO_MEMORY)
        else:
            page = ctx.node.page_bytes
            high = request + max(most - request, 0) * qos.throttling_percent // 100
            ctx.set(MEMORY_HIGH, max(high // page * page, least, page), "memoryQOS throttlingPercent")

    def decide_pod(self, ctx: PodContext) -> None:
        pod = ctx.pod
        if pod.qos is QoSClass.BE:
            limits = [b.limit or 0 for b in batches_of(pod, BATCH_MEMORY)]
            if not limits:
                ctx.skip(MEMORY_LIMIT, NO_BATCH)
            elif 0 in limits:
                ctx.set(MEMORY_LIMIT, UNLIMITED, "a container without batch-memory limit")
            else:
                ctx.set(MEMORY_LIMIT, sum(limits), "sum of batch-memory limits")
        qos = _memory_qos(ctx)
        if qos is not None:
            _protect(ctx, qos, _pod_request(pod, ctx.baseline.memory_limit or UNLIMITED))


def _memory_qos(ctx: _Context) -> MemoryQOS | None:
    """None when neither the class nor the pod asks for anything. A pod that says `none` does ask: for nothing of kubelet's either."""
    try:
        qos = ctx.policy.memory_qos(ctx.pod)
    except AnnotationError as error:
        ctx.error(error)
        return None
    return qos if qos.enable or MEMORY_QOS_KEY in ctx.pod.annotations else None


def _protect(ctx: _Context, qos: MemoryQOS, request: int | None) -> int:
    """Decide memory.min and memory.low; returns memory.min in bytes, 0 when nothing is protected."""
    least = _protect_by(ctx, MEMORY_MIN, qos.min_limit_percent, request, 0, "memoryQOS minLimitPercent")
    _protect_by(ctx, MEMORY_LOW, qos.low_limit_percent, request, least, "memoryQOS lowLimitPercent")
    return least


def _protect_by(ctx: _Context, field: Field, percent: int, request: int | None, least: int, reason: str) -> int:
    if percent and request is None:
        ctx.skip(field, NO_REQUEST)
        return 0
    value = request * percent // 100 if request else 0
    if not value:
        _take_back(ctx, field, 0)
        return 0
    if value < least:
        value = least
    ctx.set(field, value, reason)
    return value


def _take_back(ctx: _Context, field: Field, neutral: int) -> None:
    """kubelet's own MemoryQoS sets these files at create; what the policy does not want must not survive through it."""
    unified = ctx.baseline.unified
    if unified and field.name in unified:
        ctx.set(field, neutral, "memoryQOS asks for none, kubelet did")


def _request(pod: Pod, container: str, limit: int) -> int | None:
    """Memory request of a container in bytes; None when it cannot be known."""
    if pod.qos is QoSClass.BE:
        batch = batch_of(pod, container, BATCH_MEMORY)
        if batch is not None:
            return batch.request or 0
    if pod.kube_qos is KubeQoS.BESTEFFORT:
        return 0
    if pod.spec is not None:
        spec = pod.spec.containers.get(container)
        return None if spec is None else _requested(container, spec)
    return limit if pod.kube_qos is KubeQoS.GUARANTEED and limit > 0 else None


def _pod_request(pod: Pod, limit: int) -> int | None:
    """Memory request of the whole pod in bytes; None when it cannot be known."""
    if pod.qos is QoSClass.BE:
        batches = batches_of(pod, BATCH_MEMORY)
        if batches:
            return sum(b.request or 0 for b in batches)
    if pod.kube_qos is KubeQoS.BESTEFFORT:
        return 0
    if pod.spec is not None:
        return sum(_requested(name, spec) for name, spec in pod.spec.containers.items())
    return limit if pod.kube_qos is KubeQoS.GUARANTEED and limit > 0 else None


def _requested(container: str, spec: ContainerSpec) -> int:
    """Request of the spec; where only a limit is given, Kubernetes takes that for the request."""
    which = spec.requests if "memory" in spec.requests else spec.limits
    try:
        return max(quantity_value(which.get("memory", 0)), 0)
    except ValueError as error:
        raise PodError(f"spec.containers.{container}: memory: {error}") from None
