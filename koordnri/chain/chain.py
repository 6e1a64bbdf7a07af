"""Runs the hooks in their order, under a deadline, and collects the decision.

Every answer of koordnri is decided here: the reply to an event, the reconciler's plan, the output of `explain`. Hooks are called only from
here, so timing, errors and the failure policy are in one place.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from koordnri.chain.loading import check_hooks
from koordnri.chain.snapshot import Snapshot
from koordnri.hook import ClassContext, ContainerContext, Hook, HostContext, PodContext, RootContext
from koordnri.model import Container, Event, Field, KubeQoS, NodeState, Pod
from koordnri.model.annotations import fault_of
from koordnri.model.decision import NO_SETTINGS, Decision, Draft, HookError
from koordnri.model.resources import Resources
from koordnri.model.routes import OBSERVE, host_routes
from koordnri.policy import DEFAULT_POLICY, Policy

BUCKET_BOUNDS_NS = tuple(1024 << i for i in range(22))
"""Bounds of the hook duration histogram, powers of two from 1 µs to 2 s: a hook should cost a few µs, and the runtime gives up after 2 s.
With powers of two the bucket is found without a search."""
_LAST_BUCKET = len(BUCKET_BOUNDS_NS)
NO_DEADLINE = 1 << 62
_LATE = "not asked: the chain's budget was used up before it"
_BUSY = "not asked: it has not yet returned from an earlier container"


_AnyContext = ContainerContext | PodContext | ClassContext | RootContext | HostContext


class ContainerRefused(Exception):
    """A hook whose failure policy is `fail` could not decide. The reply refuses the container, with this message."""

    def __init__(self, message: str, decision: Decision) -> None:
        super().__init__(message)
        self.decision = decision
        """what would have been decided, with the errors"""


class HookStats:
    """Counters of one hook. Only the event thread writes them; `observe` reads them at a scrape."""

    __slots__ = ("buckets", "errors", "total_ns")

    def __init__(self) -> None:
        self.total_ns = 0
        self.buckets = [0] * (len(BUCKET_BOUNDS_NS) + 1)
        self.errors: dict[str, int] = {}
        """fault → count"""


class _Step(NamedTuple):
    """One hook's turn, with everything that the loop needs looked up in advance."""

    name: str
    decide: Callable[[Any], None]
    owns: frozenset[Field]
    stats: HookStats
    observed: bool
    """its settings are shown, not applied"""


class _Plan(NamedTuple):
    """The hooks to be asked under one policy."""

    policy: Policy
    containers: tuple[_Step, ...]
    pods: tuple[_Step, ...]
    classes: tuple[_Step, ...]
    root: tuple[_Step, ...]
    hosts: tuple[_Step, ...]
    off: dict[str, str]
    """hook that the policy switched off → reason"""


class Chain:
    """The hooks in order. One thread at a time decides. Between calls it keeps only counters and which hooks are stuck."""

    def __init__(self, hooks: Iterable[Hook], clock: Callable[[], int] = time.perf_counter_ns) -> None:
        ordered = sorted(hooks, key=lambda h: (h.order, h.name))
        check_hooks(ordered)
        self.stats = {h.name: HookStats() for h in ordered}
        """hook name → its counters, in the order in which the hooks decide"""
        self._busy: dict[str, ContainerContext] = {}
        """hook that was still running when another thread answered → its context; it is not asked again before it returns"""
        self._hooks = tuple(ordered)
        self._clock = clock
        self._plan = self._plan_for(DEFAULT_POLICY)

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the hooks in the order in which they decide."""
        return tuple(self.stats)

    def required(self, policy: Policy) -> tuple[str, ...]:
        """Names of the hooks without which the policy lets no container be created (`failurePolicy: fail`). Any thread may ask."""
        return tuple(
            hook.name
            for hook in self._hooks
            if type(hook).decide is not Hook.decide and _is_required(hook.name, policy)
        )

    def decide_container(
        self, pod: Pod, container: Container, event: Event, snapshot: Snapshot, deadline_ns: int = NO_DEADLINE
    ) -> Decision:
        """Decide one container. See `run`."""
        return self.run(self.context(pod, container, event, snapshot), deadline_ns)

    def decide_pod(self, pod: Pod, snapshot: Snapshot, containers: Sequence[Container] = ()) -> Decision:
        """Decide the fields of the pod's own cgroup, above these containers."""
        ctx = PodContext(pod, snapshot.policy, snapshot.node, snapshot.node.pod_routes, containers)
        return self._run(self._plan_of(ctx.policy).pods, ctx, pod, NO_DEADLINE, refuse=False)

    @property
    def decides_classes(self) -> bool:
        """Whether any hook decides fields of cgroups outside of pods: QoS classes, the root of all cgroups, host applications."""
        outside = ("decide_class", "decide_root", "decide_host")
        return any(getattr(type(hook), m) is not getattr(Hook, m) for hook in self._hooks for m in outside)

    def decide_class(self, kube_qos: KubeQoS, pods: Iterable[Pod], snapshot: Snapshot) -> Decision:
        """Decide the fields of a QoS class's cgroup. `pods`: all pods below it."""
        policy, node = snapshot
        managed = list(pods)
        if policy.namespaces_left_alone or node.released:
            managed = [p for p in managed if not _left_alone(p, policy, node)]
        ctx = ClassContext(kube_qos, managed, policy, node, node.pod_routes)
        return self._run(self._plan_of(policy).classes, ctx, None, NO_DEADLINE, refuse=False)

    def decide_root(self, snapshot: Snapshot) -> Decision:
        """Decide the fields of the root of all cgroups."""
        policy, node = snapshot
        ctx = RootContext(policy, node, node.root_routes)
        return self._run(self._plan_of(policy).root, ctx, None, NO_DEADLINE, refuse=False)

    def decide_host(self, number: int, baseline: Resources, snapshot: Snapshot) -> Decision:
        """Decide the fields of an application outside of pods.

        number     its place in the policy's list
        baseline   what its service manager set
        """
        policy, node = snapshot
        routes = host_routes(node.cgroup_version, node.cgroup_files, node.resctrl.read_only if node.resctrl else "")
        ctx = HostContext(policy.host_applications[number], baseline, policy, node, routes)
        return self._run(self._plan_of(policy).hosts, ctx, None, NO_DEADLINE, refuse=False)

    def context(self, pod: Pod, container: Container, event: Event, snapshot: Snapshot) -> ContainerContext:
        """The context in which `run` decides. A thread that must answer early finds there what is decided so far."""
        policy, node = snapshot
        return ContainerContext(pod, container, event, policy, node, node.routes(event))

    def run(self, ctx: ContainerContext, deadline_ns: int = NO_DEADLINE) -> Decision:
        """Ask every hook about the container of `ctx`. `deadline_ns` is on the chain's clock.

        A hook that fails costs only its own fields. Once the deadline has passed, no further hook is asked.
        Raises ContainerRefused when the failure policy of a hook that could not decide is `fail` and the container is being created.
        """
        return self._run(
            self._plan_of(ctx.policy).containers, ctx, ctx.pod, deadline_ns, refuse=ctx.event is Event.CREATE
        )

    def _run(
        self, steps: tuple[_Step, ...], ctx: _AnyContext, pod: Pod | None, deadline_ns: int, refuse: bool
    ) -> Decision:
        """`pod` is None for a cgroup outside of pods."""
        clock, busy = self._clock, self._busy
        if off := self._plan.off:
            ctx.skipped.update(off)
        policy, node = ctx.policy, ctx.node
        if (policy.namespaces_left_alone or node.released) and (why := _left_alone(pod, policy, node)):
            ctx.skipped.update((step.name, why) for step in steps)
            return ctx.made()
        started = clock()
        for step in steps:
            name, decide, owns, stats, observed = step
            if started > deadline_ns:
                _fail(ctx, HookError(name, _LATE, "late"), step)
                continue
            # Checked twice: a hook may return just as it is found stuck, and would otherwise never be asked again.
            if busy and name in busy and busy[name].hook == name:
                _fail(ctx, HookError(name, _BUSY, "late"), step)
                continue
            ctx.hook, ctx.owns = name, owns
            try:
                decide(ctx)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  # whatever a hook raises (even SystemExit) costs only its own fields
                _fail(ctx, fault_of(name, error), step)
            if observed:
                _only_show(ctx, name)
            if busy:
                busy.pop(name, None)
            ended = clock()
            stats.total_ns += (took := ended - started)
            bucket = (took >> 10).bit_length()
            stats.buckets[bucket if bucket < _LAST_BUCKET else _LAST_BUCKET] += 1
            started = ended
        ctx.hook = ""
        decision = ctx.made(started > deadline_ns)
        if decision.errors:
            self._conclude(decision, ctx.policy, refuse)
        return decision

    def answer_early(self, ctx: ContainerContext) -> Decision:
        """For another thread, while `run` is stuck in a hook: a decision of what the hooks before it have decided.

        The stuck hook is not asked again until it returns. Raises ContainerRefused as `run` does.
        """
        stuck, partial = ctx.hook, Draft()
        if stuck:
            self._busy[stuck] = ctx
        partial.settings = {n: s for n, s in dict(ctx.settings).items() if s.hook != stuck}
        partial.observed = ctx.observed
        partial.controlled = {n: s for n, s in dict(ctx.controlled).items() if s.hook != stuck} or NO_SETTINGS
        partial.skipped = dict(ctx.skipped)
        partial.errors = ctx.errors
        partial.undecided = ctx.undecided
        steps = self._plan_of(ctx.policy).containers
        for step in itertools.dropwhile(lambda s: s.name != stuck, steps) if stuck else ():
            text = f"did not answer within the chain's budget; container {ctx.container.name} goes on without it"
            _fail(partial, HookError(step.name, text if step.name == stuck else _LATE, "late"), step)
        decision = partial.made(late=True)
        self._conclude(decision, ctx.policy, refuse=ctx.event is Event.CREATE)
        return decision

    def _plan_of(self, policy: Policy) -> _Plan:
        plan = self._plan
        if plan.policy is not policy:
            plan = self._plan = self._plan_for(policy)
        return plan

    def _plan_for(self, policy: Policy) -> _Plan:
        methods = ("decide", "decide_pod", "decide_class", "decide_root", "decide_host")
        plan: dict[str, list[_Step]] = {method: [] for method in methods}
        off: dict[str, str] = {}
        for hook in self._hooks:
            name, mode = hook.name, policy.hook_mode(hook.name)
            if not hook.has_work(policy):
                continue
            if mode == "off":
                off[name] = f"switched off by the policy (koordnri-config.hooks.{name}.mode)"
                continue
            owns, stats = frozenset(hook.owns), self.stats[name]
            for method, steps in plan.items():
                if getattr(type(hook), method) is not getattr(Hook, method):
                    steps.append(_Step(name, getattr(hook, method), owns, stats, mode == "observe"))
        containers, pods, classes, root, hosts = map(tuple, plan.values())
        return _Plan(policy, containers, pods, classes, root, hosts, off)

    def _conclude(self, decision: Decision, policy: Policy, refuse: bool) -> None:
        """Count the errors. Refuse the container if the policy does not allow it without one of these hooks."""
        for error in decision.errors:
            errors = self.stats[error.hook].errors
            errors[error.fault] = errors.get(error.fault, 0) + 1
        for hook, message, _ in decision.errors if refuse else ():
            if _is_required(hook, policy):
                raise ContainerRefused(
                    f"koordnri: hook {hook} could not decide: {message}; "
                    f"the policy says koordnri-config.hooks.{hook}.failurePolicy: fail",
                    decision,
                )


def _is_required(hook: str, policy: Policy) -> bool:
    return policy.failure_policy(hook) == "fail" and policy.hook_mode(hook) == "enforce"


def _left_alone(pod: Pod | None, policy: Policy, node: NodeState) -> str:
    """Why no hook is asked about this pod, or (None) about a cgroup outside of pods; "" when hooks are asked."""
    released = node.released
    if "*" in released or (pod is not None and pod.id in released):
        return "released by `koordnri release`, until the daemon restarts"
    if pod is not None and pod.namespace in policy.namespaces_left_alone:
        return f"the policy leaves namespace {pod.namespace} alone (koordnri-config.namespacesLeftAlone)"
    return ""


def _only_show(draft: Draft, hook: str) -> None:
    names = [n for n, s in draft.settings.items() if s.hook == hook]
    shown = {name: draft.settings.pop(name)._replace(route=OBSERVE) for name in names}
    if draft.controlled:
        shown |= {n: s._replace(route=OBSERVE) for n, s in draft.controlled.items() if s.hook == hook}
        _drop_controlled(draft, hook)
    draft.observed = MappingProxyType({**draft.observed, **shown})


def _drop_controlled(draft: Draft, hook: str) -> None:
    draft.controlled = {n: s for n, s in draft.controlled.items() if s.hook != hook} or NO_SETTINGS


def _fail(draft: Draft, error: HookError, step: _Step) -> None:
    """Drop the hook's fields, and no others. A hook that is only observed has none to drop."""
    for name in [n for n, s in draft.settings.items() if s.hook == error.hook]:
        del draft.settings[name]
    if draft.controlled:
        _drop_controlled(draft, error.hook)
    draft.skipped[error.hook] = error.message
    draft.errors = (*draft.errors, error)
    if not step.observed:
        draft.undecided |= step.owns
