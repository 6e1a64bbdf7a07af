"""Runs one hook on a made-up container or pod, without the chain: what it raises comes out, nothing else decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from koordnri.hook import ContainerContext, Hook, PodContext
from koordnri.model import Container, Event, NodeState, Pod, Resources
from koordnri.model.decision import Decision
from koordnri.model.resources import NOTHING
from koordnri.policy import DEFAULT_POLICY, Policy

NODE = NodeState()


def context(
    pod: Pod,
    baseline: Resources = NOTHING,
    node: NodeState = NODE,
    policy: Policy = DEFAULT_POLICY,
    event: Event = Event.CREATE,
    name: str = "main",
) -> ContainerContext:
    container = Container("c1", name, pod.id, baseline)
    return ContainerContext(pod, container, event, policy, node, node.routes(event))


def run(hook: Hook, ctx: ContainerContext, before: Iterable[Hook] = ()) -> Decision:
    """The decision of one hook; `before` decide first, for what it reads of them."""
    for one in (*before, hook):
        ctx.hook, ctx.owns = one.name, frozenset(one.owns)
        one.decide(ctx)
    return ctx.made()


def run_pod(
    hook: Hook,
    pod: Pod,
    node: NodeState = NODE,
    policy: Policy = DEFAULT_POLICY,
    containers: Mapping[str, Resources] | None = None,
) -> Decision:
    """The decision for the pod's own cgroup; `containers`: what kubelet asked for those below it."""
    below = [Container(f"id-{name}", name, pod.id, asked) for name, asked in (containers or {}).items()]
    ctx = PodContext(pod, policy, node, node.pod_routes, below)
    ctx.hook, ctx.owns = hook.name, frozenset(hook.owns)
    hook.decide_pod(ctx)
    return ctx.made()


def values(decision: Decision) -> dict[str, Any]:
    """Field → value of what is set."""
    return {name: setting.value for name, setting in decision.settings.items()}


def faults(decision: Decision) -> list[tuple[str, str]]:
    return [(error.fault, error.message) for error in decision.errors]
