"""A decision for people and programs. The JSON shape is a contract: keys may be added, never renamed.

    {"pod": {"namespace", "name", "qos", "kubeQoS", "fields": {F: {"value", "hook", "reason", "route"}}, "observed": {F: {…}}},
     "containers": [{"name", "fields": {F: {…}}, "observed": {F: {…}}, "skipped": {F or hook: reason}}],
     "trust": [{"rule", "what", "outcome": "believed"|"refused"|"unknown"|"observed", "why"}],
     "remarks": [what the pod says about its QoS without effect],
     "errors": [{"hook", "container", "message"}]}

`observed`: settings of hooks that the policy only observes; nobody applies them. `qos`: the class of the label, "" without a label.
`trust`: which inputs of the pod the policy believes (koordnri.policy.trust).
`container` of an error is null when the error concerns the pod's own cgroup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from koordnri.chain import Chain, ContainerRefused, Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.creation import Creation, create
from koordnri.cpus.dra import dra_cpus
from koordnri.kubelet import SimulatedPod
from koordnri.model import Container, Decision, Event, Pod, Setting
from koordnri.model.cpuset import union
from koordnri.model.decision import HookError
from koordnri.model.plain import plain_value
from koordnri.model.verdict import Verdict
from koordnri.policy.pod_remarks import pod_remarks
from koordnri.policy.trust_claims import claimed_cpus
from koordnri.session.translate import container_from, pod_from
from koordnri.wire import views_pb2 as views


class Explanation(NamedTuple):
    """The decisions for one pod and its containers."""

    pod: Pod
    own: Decision
    """of the pod's own cgroup"""
    containers: dict[str, Decision]
    verdicts: tuple[Verdict, ...]
    """of the trust rules, on the pod's inputs"""

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
            "trust": [verdict.as_json() for verdict in self.verdicts],
            "remarks": [remark.message for remark in pod_remarks(self.pod)],
            "errors": [{"hook": e.hook, "container": name, "message": e.message} for name, e in errors],
        }


def create_pods(
    pods: Iterable[SimulatedPod], snapshot: Snapshot, allocator: Allocator, event: Event = Event.CREATE
) -> tuple[list[tuple[Pod, list[Container]]], Creation]:
    """The pods as the daemon reads them, and the state after creating them in this order, or after synchronizing with them."""
    lives = []
    for pod in pods:
        one = snapshot.believed(read_pod(pod))
        lives.append((one, read_containers(pod)))
        if claimed := {m.name: cpus for m in pod.containers if (cpus := dra_cpus(m.env))}:
            verdict = claimed_cpus(one, union(claimed.values()), snapshot.policy.trust)
            one.verdicts = (*one.verdicts, verdict)
            for name, cpus in claimed.items() if verdict.counts else ():
                allocator.note_dra(one.key, name, cpus)
    runs = event is Event.SYNC
    return lives, create(() if runs else lives, snapshot, allocator, [pod for pod, _ in lives] if runs else ())


def explain_pod(
    chain: Chain,
    pod: Pod,
    containers: Sequence[Container],
    creation: Creation,
    event: Event,
    only: Collection[str] | None = None,
) -> Explanation:
    """Decide a pod as the daemon would once all pods exist. `only` names the containers to show."""
    own = chain.decide_pod(pod, creation.snapshot, containers)
    decided: dict[str, Decision] = {}
    for container in containers:
        if only is not None and container.name not in only:
            continue
        ctx = chain.context(pod, container, event, creation.snapshot)
        try:
            decision = chain.run(ctx)
            if refusal := creation.refusal(pod, container.name):
                raise ContainerRefused(refusal, _failed(decision, refusal))
            if shortage := creation.shortage(pod, container.name):
                decision = _failed(decision, shortage)
        except ContainerRefused as refused:
            decision = _refused(refused.decision, str(refused))
        decided[container.name] = decision
    return Explanation(pod, own, decided, creation.snapshot.node.verdicts_of(pod))


def _failed(decision: Decision, message: str) -> Decision:
    """The decision with the allocator's failure added to its errors."""
    return decision.with_errors(HookError("cpuset", message, "pod"))


def read_containers(pod: SimulatedPod) -> list[Container]:
    """The containers as the daemon reads them from the wire."""
    return [container_from(views.Container.FromString(c.SerializeToString())) for c in pod.containers]


def read_pod(pod: SimulatedPod) -> Pod:
    """The pod as the daemon reads it from the wire, with what the API server and its cgroup's files would add."""
    known = pod_from(views.PodSandbox.FromString(pod.sandbox.SerializeToString()))
    known.spec = pod.spec
    known.resources = pod.cgroup
    return known


def _refused(decision: Decision, message: str) -> Decision:
    """The decision of a container that the runtime does not create: no field is set."""
    *others, last = decision.errors
    return Decision(
        skipped={**decision.skipped, last.hook: message},
        errors=(*others, last._replace(message=message)),
        undecided=decision.undecided,
        late=decision.late,
    )


def fields_of(settings: Mapping[str, Setting]) -> dict[str, dict[str, Any]]:
    """Field name → value, hook, reason, route."""
    return {
        name: {"value": plain_value(s.value), "hook": s.hook, "reason": s.reason, "route": str(s.route)}
        for name, s in settings.items()
    }
