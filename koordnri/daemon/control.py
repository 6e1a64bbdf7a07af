"""Requests of an administrator through the control socket: the policy's state, a comparison, a release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from koordnri.chain import Chain
from koordnri.daemon.events import Events
from koordnri.hook import Hook
from koordnri.model import Pod
from koordnri.model.class_cgroup import OuterCgroup
from koordnri.model.fields import split_name
from koordnri.model.routes import Refusal
from koordnri.policy import PolicyDocument
from koordnri.policy.standing import StandingPolicy
from koordnri.reconcile.classes import classes_above
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.rows import RESTART, Comparison, Released
from koordnri.reconcile.compare.running_pods import RunningPods
from koordnri.reconcile.host_applications import host_applications
from koordnri.reconcile.requests import Requests
from koordnri.reconcile.writing import Done
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present
from koordnri.state.released import UNTIL

RELEASED = "Released"
"""reason of the Event"""
PATIENCE_S = 30.0
"""How long (s) a release may wait for the reconciler, which may be in the middle of a pass."""


class Operator:
    """Called from several threads of the control socket at once."""

    def __init__(
        self,
        hooks: Sequence[Hook],
        ledger: Ledger,
        standing: StandingPolicy,
        live: RunningPods,
        requests: Requests,
        present: Present,
        events: Events,
    ) -> None:
        self._hooks = hooks
        self._ledger = ledger
        self._standing = standing
        self._live = live
        self._requests = requests
        self._present = present
        self._events = events

    def policy_state(self) -> Mapping[str, Any]:
        """The policy in force, and the last refused one."""
        return self._standing.state(*self._present.snapshot)

    def compare(self, new: PolicyDocument, against: PolicyDocument | None) -> Comparison:
        """What `new` would change of running containers, compared with `against`, or with the policy in force."""
        # Hooks are pure, but a chain counts without a lock, so each thread that decides has its own chain.
        present = self._present
        pods, old = self._ledger.pods(), present.snapshot if against is None else present.under(against)
        running = self._live.running(pods)
        after = present.under(new)
        cgroups: list[OuterCgroup] = [one.cgroup for one in classes_above(pods, old.node)]
        cgroups += {one.cgroup.id: one.cgroup for at in (old, after) for one in host_applications(pods, at)}.values()
        above = self._live.above(cgroups)
        return compare(Chain(self._hooks), running, old, after, above, present.allocator.copy())

    def release(self, pod: str | None) -> list[Released]:
        """Give `NAMESPACE/NAME`, or everything, back to kubelet until koordnri restarts. Returns the values read back.

        Raises LookupError for an unknown pod, TimeoutError when the reconciler does not answer in time.
        """
        pods = [p for p in self._ledger.pods() if pod is None or f"{p.namespace}/{p.name}" == pod]
        if pod is not None and not pods:
            raise LookupError(f"no pod {pod} runs on this node")
        stays = [row for p in pods for row in self._only_by_restart(p)]
        self._present.let_go(frozenset("*") if pod is None else frozenset(p.id for p in pods))
        self._report_release(pods, everything=pod is None)
        done = self._requests.ask(pods, PATIENCE_S)
        rows = [*(self._row(d) for d in done if d.goal.restores), *stays]
        return sorted(rows, key=lambda row: row.place)

    def _report_release(self, pods: Sequence[Pod], *, everything: bool) -> None:
        if everything:  # one Event, not one per pod
            text = f"koordnri release --all: all pods of this node, and those that come, are left to kubelet {UNTIL}"
            self._events.warn_node(RELEASED, text)
            return
        for pod in pods:
            self._events.warn_pod(pod, RELEASED, f"koordnri release: the pod is left to kubelet {UNTIL}")

    def _row(self, done: Done) -> Released:
        goal, outcome = done
        return Released(
            container=goal.owner.container,
            field=goal.name,
            before=outcome.before,
            after=outcome.after,
            status=outcome.status.value,
            error=outcome.error,
            **goal.owner.names,
        )

    def _only_by_restart(self, pod: Pod) -> list[Released]:
        """Values that only a container's creation can set; they stay until it is created again."""
        rows, routes = [], self._present.snapshot.node.update_routes
        for entry in self._ledger.containers_of(pod.id):
            for name, (value, _) in entry.sent.items():
                field, _ = split_name(name)
                if field is None or field.update or field.adjust in ("file", "rdt"):
                    continue
                if routes[field].__class__ is Refusal:
                    rows.append(Released(pod.namespace, pod.name, entry.name, name, value, value, RESTART))
        return rows
