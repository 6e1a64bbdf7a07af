"""`GET /v1/status`: what an operator wants to see of a node on one screen."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from importlib import metadata
from typing import Any, NamedTuple

from koordnri.answers.controllers import controllers_shape
from koordnri.answers.cpu_owners import CPUOwner
from koordnri.answers.cpu_survey import CPUSurveys
from koordnri.answers.measured import reclaimable_shape, waits_shape
from koordnri.answers.violations import KINDS, OwnerProblem, Violation, file_violations
from koordnri.answers.why import row
from koordnri.control.finding import Finding
from koordnri.control.signals import Signals
from koordnri.model import CPUSet, Decision, NodeState, Pod
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.node import Pool
from koordnri.model.plain import plain_value
from koordnri.policy import resolve
from koordnri.policy.controllers import ControllerMode
from koordnri.policy.difference import policy_changes
from koordnri.policy.standing import StandingPolicy
from koordnri.reconcile.failures import Failure
from koordnri.reconcile.host_applications import HostApplications
from koordnri.reconcile.reconciler import Reconciler
from koordnri.reconcile.recorder import Recorder
from koordnri.session.handler import EventHandler
from koordnri.session.plugin import PluginSession
from koordnri.session.registration import State
from koordnri.state.entry import Entry
from koordnri.state.history import History
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present
from koordnri.state.released import UNTIL, released_pods

MOST_DECISIONS = 10
"""changes of fields that the answer lists, the newest"""
_CGROUPS = "/sys/fs/cgroup/"
MOST_CHANGES = 200
"""keys of the policy that are other ones than in the former policy"""
NO_CLASS = "none"
"""in place of a QoS class, for pods without the label"""


class StatusSources(NamedTuple):
    """What the status is computed from.

    history              None: none is kept
    problems, warnings   as for /readyz
    api                  kind of object → why its watch is down, "" while it is up; empty without the API server
    landlock             what the daemon has given up: "on: …" or "off: …"
    controllers          name of each feedback controller that is on → its mode
    findings             pods that wait, as the last complete window showed
    signals              what was measured last; None while no controller is on
    last_eviction        the pod that was chosen last: pod, feature, outcome, reason; None: there was none
    """

    ledger: Ledger
    present: Present
    surveys: CPUSurveys
    session: PluginSession
    handler: EventHandler
    reconciler: Reconciler
    recorder: Recorder
    standing: StandingPolicy
    history: History | None
    problems: Callable[[], list[str]]
    warnings: Callable[[], list[str]]
    api: Callable[[], Mapping[str, str]]
    landlock: str
    last_eviction: Callable[[], Mapping[str, str] | None]
    controllers: Callable[[], Mapping[str, ControllerMode]]
    findings: Callable[[], tuple[Finding, ...]]
    signals: Callable[[], Signals | None]


def status(sources: StatusSources) -> Mapping[str, Any]:
    """The answer. Any thread may ask."""
    node, survey = sources.present.snapshot.node, sources.surveys.now()
    problems = sources.problems()
    return {
        "ready": not problems,
        "problems": problems,
        "warnings": sources.warnings(),
        "violations": [found._asdict() for found in (*survey.violations, *_of_files(sources))],
        "node": node.name,
        "version": metadata.version("koordnri"),
        "runtime": _runtime(sources),
        "policy": _policy(sources),
        "api": dict(sources.api()),
        "landlock": sources.landlock,
        "hostApplications": _applications(sources.reconciler.hosts),
        "controllers": {
            **controllers_shape(node, sources.controllers()),
            "waits": waits_shape(sources.findings()),
            "reclaimable": reclaimable_shape(sources.signals()),
        },
        "eviction": _eviction(sources),
        "counts": _counts(sources.ledger.pods(), sources.ledger.entries()),
        "cpus": _cpus(node, survey.owners),
        "released": {
            "everything": "*" in node.released,
            "pods": [_title(pod) for pod in released_pods(sources.ledger, node)],
            "until": UNTIL,
        },
        "decisions": []
        if sources.history is None
        else [row(change) for change in sources.history.last(MOST_DECISIONS)],
    }


def violation_counts(sources: StatusSources) -> Mapping[str, int]:
    """Kind → number of violations; every kind is there. For the metrics."""
    found = Counter(one.kind for one in (*sources.surveys.now().violations, *_of_files(sources)))
    return {kind: found[kind] for kind in KINDS}


def cpu_counts(sources: StatusSources) -> Mapping[str, int]:
    """See `numbers_of_cpus`. For the metrics."""
    return numbers_of_cpus(sources.present.snapshot.node, sources.surveys.now().owners)


def numbers_of_cpus(node: NodeState, owners: Iterable[CPUOwner]) -> Mapping[str, int]:
    """`exclusive` and `shared` → number of CPUs; what is not known is left out."""
    if node.topology is None:
        return {}
    cpus, numbers = _cpus(node, owners), {}
    for kind in ("exclusive", "shared"):
        with contextlib.suppress(ValueError):  # a pool as Koordinator published it
            numbers[kind] = len(CPUSet.parse(cpus[kind]))
    return numbers


def _of_files(sources: StatusSources) -> list[Violation]:
    drift, ledger = sources.reconciler.drift, sources.ledger
    refused = [(ledger.container(update.container_id), update) for update in sources.recorder.given_up()]
    return file_violations(
        [_not_applied(failure) for failure in sources.reconciler.not_applied()],
        [
            OwnerProblem(
                _title(ledger.pod(update.pod_id)),
                "" if entry is None else entry.name,
                f"the runtime refuses to store {', '.join(sorted(update.values))}: written values may be lost when it updates the "
                "container; see the runtime's log",
            )
            for entry, update in refused
        ],
        []
        if drift is None
        else [
            OwnerProblem(
                _title(ledger.pod(owner)),
                "",
                f"{node_path(found.file)} was healed {found.times} times in a row: find out who else writes it",
            )
            for found, owner in drift.returning()
        ],
    )


def node_path(file: tuple[str, str]) -> str:
    """Its path as the node has it: the daemon's pod has the node's file system elsewhere."""
    path = "/".join(file)
    return path[path.find(_CGROUPS) :] if _CGROUPS in path else path


def _not_applied(failure: Failure) -> OwnerProblem:
    owner = failure.owner
    where = f"cgroup {owner.title}: " if owner.pod is None else ""
    return OwnerProblem(
        _title(owner.pod), owner.container, f"{where}{failure.field} = {failure.value}: {failure.error}"
    )


def _runtime(sources: StatusSources) -> Mapping[str, Any]:
    handler, session, recorder = sources.handler, sources.session, sources.recorder
    runtime = handler.runtime
    return {
        "name": runtime.name,
        "version": runtime.version,
        "nri": str(runtime.nri) if runtime.name else "",
        "state": session.state.value,
        "problem": session.problem,
        "required": {
            "hooks": handler.chain.required(sources.present.snapshot.policy),
            "refusesUnanswered": session.registration.fails_unanswered and session.state is State.SYNCHRONIZED,
        },
        "recordRoute": recorder.route,
        "unrecorded": recorder.unrecorded,
    }


def _policy(sources: StatusSources) -> Mapping[str, Any]:
    state = sources.standing.state(*sources.present.snapshot)
    accepted, refused = state["accepted"], state["refused"]
    kept = {key: accepted[key] for key in ("revision", "source", "since", "warnings")}
    return {**kept, "refused": refused, "former": _former(sources, state["former"])}


def _former(sources: StatusSources, former: Mapping[str, str] | None) -> Mapping[str, Any] | None:
    """The policy before this one, and what is different now for this node; None: there was no other since the daemon started."""
    policy, node = sources.present.snapshot
    before = sources.standing.former
    if former is None or before is None:
        return None
    changes = policy_changes(resolve(before.document, node.name, node.labels), policy)
    shown = [change._asdict() for change in changes[:MOST_CHANGES]]
    return {**former, "changes": shown, "more": len(changes) - len(shown)}


def _eviction(sources: StatusSources) -> Mapping[str, Any]:
    return {"mode": sources.controllers().get("evict", "off"), "last": sources.last_eviction()}


def _counts(pods: Iterable[Pod], entries: Iterable[Entry]) -> Mapping[str, Mapping[str, int]]:
    """QoS class → pods and containers."""
    by_id = {pod.id: pod.qos.value or NO_CLASS for pod in pods}
    of_pods = Counter(by_id.values())
    of_containers = Counter(by_id[e.pod_id] for e in entries if e.pod_id in by_id and not e.ended)
    return {name: {"pods": of_pods[name], "containers": of_containers[name]} for name in sorted(of_pods)}


def _applications(hosts: HostApplications) -> list[Mapping[str, Any]]:
    """Applications outside of pods. `problem`: why one is left alone, "" when it is not; `fields`: what it is to have."""
    return [
        {
            "name": found.cgroup.application,
            "qos": found.qos or NO_CLASS,
            "cgroup": found.cgroup.directory,
            "problem": found.problem,
            "fields": {
                name: plain_value(setting.value)
                for name, setting in hosts.decisions.get(found.cgroup.id, Decision()).settings.items()
                if not found.problem
            },
        }
        for found in hosts.found
    ]


def _cpus(node: NodeState, owners: Iterable[CPUOwner]) -> Mapping[str, str]:
    """Cpusets as text; "" for none, or when it is not known."""
    exclusive = reduce(CPUSet.__or__, (owner.cpus for owner in owners), NO_CPUS)
    everything = NO_CPUS if node.topology is None else node.topology.online
    return {
        "online": str(everything),
        "exclusive": str(exclusive),
        "shared": _joined(node.ls_pools) or str(everything if node.pods_cpus is None else everything & node.pods_cpus),
        "batch": _joined(node.be_pools),
        "reserved": str(node.reserved_cpus | node.kubelet_reserved),
    }


def _joined(pools: Iterable[Pool]) -> str:
    text = ",".join(pool.cpus for pool in pools if pool.cpus)
    try:
        return str(CPUSet.parse(text))
    except ValueError:  # as Koordinator published it
        return text


def _title(pod: Pod | None) -> str:
    return "" if pod is None else f"{pod.namespace}/{pod.name}"
