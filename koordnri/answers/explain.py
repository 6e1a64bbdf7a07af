"""`GET /v1/explain?pod=NAMESPACE/NAME[&container=NAME]`: what a running pod was asked for, got, and has in the kernel now.

    {"pod": {"namespace", "name", "uid", "qos", "kubeQoS", CGROUP},
     "containers": [{"name", "id", "state": "created"|"running"|"ended", CGROUP, "restart": {F: RESTART}}],
     "policy": {"revision", "source", "since", "strategies": {key of the policy: node strategy in use}, "refused": bool},
     "cpus": the shape in koordnri.answers.pod_cpus,
     "leftAlone": why no hook is asked about this pod, "" when they are,
     "wouldChange": [what would change these values, as far as that is known],
     "trust": [{"rule", "what", "outcome", "why"}],
     "remarks": [what the pod says about its QoS without effect],
     "errors": [{"hook", "container", "message"}]}

    CGROUP   "cgroup": its path, null when it is not known, "fields": {F: FIELD}, "observed": {F: FIELD}, "untouched": {F: FIELD},
             "skipped": {F or hook: reason}
    FIELD    {"value", "unit", "asked", "kernel", "outer", "effective", "agrees", "error", "hook", "reason", "route", "recorded",
              "since", "cause", "refused", "rules": [RULE]}
    RESTART  {"now", "value", "hook", "reason", "certain"}

The keys are those of `koordnri explain -f` (koordnri.cli.explanation), and more. `value` is the decided one, null in `untouched`: fields
that nobody decides and that kubelet asked for, or a hook left alone. `asked`: what kubelet asked for, null for nothing. `kernel` and the
four keys after it: koordnri.answers.kernel; a pod's cpu.cpus are its sandbox's. `recorded`: whether the runtime's stored spec has the
value, null for a field that is not stored there.

`restart`: fields that only a creation can set, and that would be others if the container were created now. `certain` is false when
koordnri has restarted since the creation and so cannot know what the container was given then.

`since`, `cause` and `refused`: koordnri.answers.since. `rules`, which gave the value: koordnri.answers.rules; empty in `untouched`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from koordnri.answers.kernel import KernelReader
from koordnri.answers.outlook import left_alone, outlook
from koordnri.answers.pod_cpus import cpus_of
from koordnri.answers.pods import find_containers, find_pod
from koordnri.answers.rules import Rule, rules_of
from koordnri.answers.since import NewestChanges, newest_changes, since
from koordnri.chain import Chain, ContainerRefused, Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.hook import Hook
from koordnri.host.cgroup.paths import container_directory, pod_directory
from koordnri.host.resctrl_groups import ResctrlTree
from koordnri.model import Container, Decision, Event, Field, NodeError, NodeState, Pod, Setting, fields
from koordnri.model.difference import agree, unrecorded
from koordnri.model.fields import split_name
from koordnri.model.plain import plain_value
from koordnri.model.resources import Resources
from koordnri.model.routes import ADJUST, REPLY, Refusal
from koordnri.observe.questions import Parameters, checked
from koordnri.policy.pod_remarks import pod_remarks
from koordnri.policy.standing import StandingPolicy
from koordnri.reconcile.compare.running import Running
from koordnri.reconcile.compare.running_pods import RunningPods
from koordnri.reconcile.ports import Machine
from koordnri.state.entry import Entry
from koordnri.state.history import History
from koordnri.state.ledger import Ledger
from koordnri.state.world import World

_KUBELETS = tuple(field for field in fields.ALL if field.baseline and field is not fields.CPU_PERIOD)
"""Fields that kubelet asks for; the period is always the same."""
_OF_PODS = tuple(field for field in _KUBELETS if field.on_pod or field is fields.CPU_SHARES)


class ExplainSources(NamedTuple):
    """What explanations are computed from."""

    ledger: Ledger
    hooks: Sequence[Hook]
    standing: StandingPolicy
    allocator: Allocator
    machine: Machine
    """for its world, and a writer per question that only reads"""
    host_root: Path
    history: History | None
    """None: none is kept"""


def explain(sources: ExplainSources, parameters: Parameters) -> dict[str, Any]:
    """The shape of the module. Raises BadQuestion, NotHere."""
    asked = checked(parameters, {"container"}, {"pod"})
    pod = find_pod(sources.ledger, asked["pod"])
    entries = find_containers(sources.ledger, pod, asked.get("container"))
    world = sources.machine.world()
    node = world.snapshot.node
    (running,) = RunningPods(sources.ledger, sources.machine).running([pod])
    kernel = KernelReader(sources.machine.writer(node.cgroup_version), node, lambda: ResctrlTree(sources.host_root))
    # Hooks are pure, but a chain counts without a lock, so each question has its own chain.
    changes = newest_changes(sources.history, pod)
    return _Explainer(sources, Chain(sources.hooks), world, running, kernel, changes).shape(entries)


class _Explainer(NamedTuple):
    """One pod, with everything that an explanation of it reads."""

    sources: ExplainSources
    chain: Chain
    world: World
    running: Running
    kernel: KernelReader
    changes: NewestChanges

    @property
    def pod(self) -> Pod:
        return self.running.pod

    @property
    def node(self) -> NodeState:
        return self.world.snapshot.node

    def shape(self, entries: list[Entry]) -> dict[str, Any]:
        pod, snapshot = self.pod, self.world.snapshot
        own = self.chain.decide_pod(pod, snapshot, self.running.containers)
        errors = [{"hook": e.hook, "container": None, "message": e.message} for e in own.errors]
        containers = [self._container(entry, errors) for entry in entries]
        shape: dict[str, Any] = {
            "pod": {
                "namespace": pod.namespace,
                "name": pod.name,
                "uid": pod.uid,
                "qos": pod.qos.value,
                "kubeQoS": pod.kube_qos.value,
                **self._own(own),
            },
            "containers": containers,
            "policy": self._policy(),
            "cpus": cpus_of(pod, self.node, self.sources.allocator),
            "leftAlone": left_alone(pod, *snapshot),
            "trust": [verdict.as_json() for verdict in self.node.verdicts_of(pod)],
            "remarks": [remark.message for remark in pod_remarks(pod)],
            "errors": errors,
        }
        return shape | {"wouldChange": outlook(shape)}

    def _policy(self) -> dict[str, Any]:
        state = self.sources.standing.state(*self.world.snapshot)
        accepted = state["accepted"]
        kept = {key: accepted[key] for key in ("revision", "source", "since", "strategies")}
        return {**kept, "refused": state["refused"] is not None}

    # -- the pod's own cgroup -----------------------------------------------------------------------------------------

    def _own(self, decision: Decision) -> dict[str, Any]:
        directory, sandbox = _of_pod(self.pod, self.world.runtime)

        def described(field: Field, key: str, setting: Setting | None) -> dict[str, Any]:
            its = sandbox if field.in_sandbox else directory
            asked = self.running.files.before_us(field, field.named(key), self.node)
            found = self._field(its, field, key, setting, asked)
            return found | {"recorded": None} | since(self.changes, "", field.named(key), found["value"])

        def decide(pod: Pod, snapshot: Snapshot) -> Decision:
            return self.chain.decide_pod(pod, snapshot, self.running.containers)

        shape = _cgroup(directory, decision, described, {field.name for field in _OF_PODS})
        return _with_rules(shape, rules_of(decide, self.pod, self.world.snapshot))

    # -- containers ---------------------------------------------------------------------------------------------------

    def _container(self, entry: Entry, errors: list[dict[str, Any]]) -> dict[str, Any]:
        container = entry.container
        decision = self.chain.decide_container(self.pod, container, Event.SYNC, self.world.snapshot)
        errors += [{"hook": e.hook, "container": entry.name, "message": e.message} for e in decision.errors]
        directory = _of_container(self.pod, entry.id, self.world.runtime)
        sent = dict(entry.sent)  # copied in one step, because another thread adds what it writes
        missing = {s.field.named(s.key) for s in unrecorded(decision, entry.baseline, sent, self.node, entry.drifted)}

        def described(field: Field, key: str, setting: Setting | None) -> dict[str, Any]:
            asked = asked_of(field, entry.baseline, self.node)
            stored = setting is not None and setting.route == REPLY
            recorded = field.named(key) not in missing if stored else None
            found = self._field(directory, field, key, setting, asked)
            return found | {"recorded": recorded} | since(self.changes, entry.name, field.named(key), found["value"])

        asked_for = {f.name for f in _KUBELETS if asked_of(f, entry.baseline, self.node) is not None}
        shape = _cgroup(directory, decision, described, asked_for)
        same, restart = self._of_creation(container, sent)
        for name in (*same, *restart):
            shape["skipped"].pop(name, None)
        shape["fields"] |= {name: described(s.field, s.key, s) for name, s in same.items()}
        shape = _with_rules(shape, self._rules(container, Event.CREATE if same else Event.SYNC))
        state = "ended" if entry.ended else "running" if entry.started else "created"
        return {"name": entry.name, "id": entry.id, "state": state, **shape, "restart": restart}

    def _rules(self, container: Container, event: Event) -> Mapping[str, list[Rule]]:
        def decide(pod: Pod, snapshot: Snapshot) -> Decision:
            return self.chain.decide_container(pod, container, event, snapshot)

        return rules_of(decide, self.pod, self.world.snapshot)

    def _of_creation(
        self, container: Container, sent: Mapping[str, tuple[Any, str]]
    ) -> tuple[dict[str, Setting], dict[str, Any]]:
        """Fields that only a creation can set: those that the container was given, and those that a new one would have otherwise."""
        try:
            created = self.chain.decide_container(self.pod, container, Event.CREATE, self.world.snapshot)
        except ContainerRefused as refused:
            created = refused.decision
        only = {field for field, route in self.node.routes(Event.SYNC).items() if route.__class__ is Refusal}
        wanted = {name: s for name, s in created.settings.items() if s.field in only}
        given = {name: v for name, (v, route) in sent.items() if route == ADJUST and split_name(name)[0] in only}
        certain = any(route == ADJUST for _, route in sent.values())
        same: dict[str, Setting] = {}
        restart: dict[str, Any] = {}
        for name in dict.fromkeys((*wanted, *given)):
            setting = wanted.get(name)
            if setting is not None and name in given and agree(setting.field, given[name], setting.value):
                same[name] = setting
            elif setting is not None or split_name(name)[0] not in created.undecided:
                restart[name] = {
                    "now": plain_value(given.get(name)),
                    "value": None if setting is None else plain_value(setting.value),
                    "hook": "" if setting is None else setting.hook,
                    "reason": "not decided any more" if setting is None else setting.reason,
                    "certain": certain,
                }
        return same, restart

    def _field(self, directory: str, field: Field, key: str, setting: Setting | None, asked: Any) -> dict[str, Any]:
        value = None if setting is None else setting.value
        return {
            "value": plain_value(value),
            "unit": field.unit,
            "asked": asked,
            **self.kernel.now(directory, field, key, value),
            "hook": "" if setting is None else setting.hook,
            "reason": "" if setting is None else setting.reason,
            "route": "" if setting is None else str(setting.route),
        }


def asked_of(field: Field, resources: Resources, node: NodeState) -> Any:
    """What kubelet asked of a field, in its unit; None for nothing."""
    if field.baseline:
        value = getattr(resources, field.baseline)
        return None if value == "" else value
    return (resources.unified or {}).get(node.field_files[field])


def _cgroup(directory: str, decision: Decision, described: Any, asked_for: set[str]) -> dict[str, Any]:
    """The shape CGROUP. `asked_for`: names of fields that are shown even if no hook names them."""
    untouched: dict[str, Any] = {}
    for name in dict.fromkeys((*decision.skipped, *(f.name for f in _KUBELETS if f.name in asked_for))):
        field, key = split_name(name)
        if field is None or decision.decides(name) or not (field.v1 or field.v2 or field is fields.RDT_CLOSID):
            continue
        untouched[name] = described(field, key, None) | {"reason": decision.skipped.get(name, "")}
    return {
        "cgroup": directory or None,
        "fields": {name: described(s.field, s.key, s) for name, s in decision.in_files.items()},
        "observed": {name: described(s.field, s.key, s) for name, s in decision.observed.items()},
        "untouched": untouched,
        "skipped": {name: str(reason) for name, reason in decision.skipped.items()},
    }


def _with_rules(shape: dict[str, Any], rules: Mapping[str, list[Rule]]) -> dict[str, Any]:
    """The shape CGROUP with the rules of each field."""
    for part in ("fields", "observed", "untouched"):
        for name, field in shape[part].items():
            field["rules"] = [rule._asdict() for rule in rules.get(name, ())]
    return shape


def _of_pod(pod: Pod, runtime: str) -> tuple[str, str]:
    """The pod's cgroup and its sandbox's; "" without one."""
    try:
        return pod_directory(pod.cgroup_parent), container_directory(pod.cgroup_parent, pod.id, runtime)
    except NodeError:
        return "", ""


def _of_container(pod: Pod, container_id: str, runtime: str) -> str:
    try:
        return container_directory(pod.cgroup_parent, container_id, runtime)
    except NodeError:
        return ""
