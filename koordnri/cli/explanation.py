"""A decision as people and programs read it. The JSON shape is a contract: keys may be added to, never renamed.

    {"pod": {"namespace", "name", "qos", "kubeQoS", "fields": {F: {"value", "hook", "reason", "route"}}, "observed": {F: {…}}},
     "containers": [{"name", "fields": {F: {…}}, "observed": {F: {…}}, "skipped": {F or hook: reason}}],
     "errors": [{"hook", "container", "message"}]}

`observed` is of the hooks that the policy only observes: what they would set, and nobody does. `qos` is the label's class, "" without
one. `container` of an error is null when it is about the pod's own cgroup.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from koordnri.chain import Chain, Refused, Snapshot
from koordnri.kubelet import SimulatedPod
from koordnri.model import Decision, Event, Pod, Setting
from koordnri.model.decision import HookError
from koordnri.model.plain import plain_value
from koordnri.session.translate import container_from, pod_from
from koordnri.wire import views_pb2 as views


class Explanation(NamedTuple):
    """What is decided of one pod, and by whom."""

    pod: Pod
    own: Decision
    """of the pod's own cgroup"""
    containers: dict[str, Decision]

    def as_json(self) -> dict[str, Any]:
        """The contract's shape."""
        errors: list[tuple[str | None, HookError]] = [(None, e) for e in self.own.errors]
        errors += [(name, e) for name, decision in self.containers.items() for e in decision.errors]
        return {
            "pod": {
                "namespace": self.pod.namespace,
                "name": self.pod.name,
                "qos": self.pod.qos.value,
                "kubeQoS": self.pod.kube_qos.value,
                "fields": fields_of(self.own.settings),
                "observed": fields_of(self.own.observed),
            },
            "containers": [
                {
                    "name": name,
                    "fields": fields_of(decision.settings),
                    "observed": fields_of(decision.observed),
                    "skipped": dict(decision.skipped),
                }
                for name, decision in self.containers.items()
            ],
            "errors": [{"hook": e.hook, "container": name, "message": e.message} for name, e in errors],
        }


def explain_pod(
    chain: Chain, pod: SimulatedPod, snapshot: Snapshot, event: Event, only: Collection[str] | None = None
) -> Explanation:
    """Decide a pod as the daemon would when the runtime sent these messages; `only` names the containers that are asked for."""
    known = read_pod(pod)
    own = chain.decide_pod(known, snapshot)
    decided: dict[str, Decision] = {}
    for message in pod.containers:
        if only is not None and message.name not in only:
            continue
        told = views.Container.FromString(message.SerializeToString())
        ctx = chain.context(known, container_from(told), event, snapshot)
        try:
            decided[message.name] = chain.run(ctx)
        except Refused as refusal:
            decided[message.name] = _refused(ctx.decision, str(refusal))
    return Explanation(known, own, decided)


def read_pod(pod: SimulatedPod) -> Pod:
    """The pod as the daemon reads it from the wire, and with what the API server would tell of it."""
    known = pod_from(views.PodSandbox.FromString(pod.sandbox.SerializeToString()))
    known.spec = pod.spec
    return known


def _refused(decision: Decision, message: str) -> Decision:
    """The runtime does not create the container, so no field of it is set."""
    decision.settings.clear()
    decision.observed.clear()
    last = decision.errors.pop()
    decision.errors.append(last._replace(message=message))
    decision.skipped[last.hook] = message
    return decision


def fields_of(settings: Mapping[str, Setting]) -> dict[str, dict[str, Any]]:
    """Name of the field → value, hook, reason, route."""
    return {
        name: {"value": plain_value(s.value), "hook": s.hook, "reason": s.reason, "route": str(s.route)}
        for name, s in settings.items()
    }
