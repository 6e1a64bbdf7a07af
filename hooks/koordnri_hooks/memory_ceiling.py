"""The ceiling of memory.high that the memory staircase wants of a best-effort container while the node is short of memory.

memory.high becomes the lower of what is decided otherwise and the ceiling, but never lower than the container's memory request, memory.min
and memory.low: the controller knows only pods' requests, and no protection. A ceiling at or above the limit has no effect and is left out.
"""

from __future__ import annotations

from koordnri.hook import ContainerContext
from koordnri.model.errors import PodError
from koordnri.model.fields import MEMORY_HIGH, MEMORY_LOW, MEMORY_MIN, Field
from koordnri_hooks.memory_request import request_of


def hold_down(ctx: ContainerContext, limit: int) -> None:
    """Let memory.high have the wanted ceiling, if there is one. `limit`: the container's memory limit in bytes, -1 for none."""
    wanted = ctx.node.control.memory_high_bytes.get(ctx.container.id)
    if wanted is None:
        return
    try:
        request = request_of(ctx.pod, ctx.container.name, limit) or 0
    except PodError:  # reported where memory.high is decided
        return
    page = ctx.node.page_bytes
    least = max(request, _bytes(ctx, MEMORY_MIN), _bytes(ctx, MEMORY_LOW), page)
    ceiling = max(wanted.value // page * page, -(-least // page) * page)
    bounds = [bound for bound in (_bytes(ctx, MEMORY_HIGH), limit) if bound > 0]
    if all(ceiling < bound for bound in bounds):
        ctx.control(MEMORY_HIGH, ceiling, wanted.reason)


def _bytes(ctx: ContainerContext, field: Field) -> int:
    """What is decided, else what kubelet asked for; 0 or less: nothing."""
    value = ctx.value(field)
    if value is None:
        text = (ctx.baseline.unified or {}).get(field.name, "")
        return int(text) if text.isascii() and text.isdecimal() else 0
    return int(value)
