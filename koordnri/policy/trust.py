"""What is believed of a pod's annotations and labels, which anybody who may create a pod can write.

The one place that decides this. `believed` is called where a pod enters the ledger, and again when the trust rules change: what a rule
refuses is missing in the pod that hooks, the allocator and answers see, so none of them can forget to ask. The verdicts stay with the pod;
`explain`, Events, logs and counters have them from there.

A rule looks at one input of the raw pod, and returns a verdict; None when the pod does not have that input. Pure, and computed once per pod
and trust rules. Whether CPUs are another's depends on the node: koordnri.cpus.claims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from koordnri.model.annotations import BATCH_CPU, RESOURCE_STATUS
from koordnri.model.assigned import assigned_or_none, is_assigned
from koordnri.model.phases import most_together
from koordnri.model.pod import Pod, PodSpec
from koordnri.model.quantity import quantity_milli, quantity_value
from koordnri.model.verdict import Outcome, Verdict
from koordnri.policy.trust_options import Believed, TrustOptions

_PATH = "koordnri-config.trust"
_MID_CPU = "kubernetes.io/mid-cpu"
Rule = Callable[[Pod, TrustOptions], Verdict | None]


def believed(pod: Pod, trust: TrustOptions) -> Pod:
    """The pod without the inputs that these rules refuse; the same object when they refuse nothing, or have judged it already."""
    if pod.judged_by is trust:
        return pod
    raw = pod.raw or pod
    verdicts = () if trust.mode == "off" else tuple(v for rule in RULES if (v := rule(raw, trust)) is not None)
    if trust.mode == "observe":
        verdicts = tuple(v if v.counts else v._replace(outcome="observed") for v in verdicts)
    refused = [v for v in verdicts if not v.counts]
    if not refused and pod.raw is None:
        pod.verdicts, pod.judged_by = verdicts, trust
        return pod
    return _without(pod, raw, refused, verdicts, trust)


def _without(pod: Pod, raw: Pod, refused: list[Verdict], verdicts: tuple[Verdict, ...], trust: TrustOptions) -> Pod:
    gone = {key for v in refused for key in v.annotations}
    labels = {key for v in refused for key in v.labels}
    made = replace(
        raw,
        annotations={key: text for key, text in raw.annotations.items() if key not in gone},
        labels={key: text for key, text in raw.labels.items() if key not in labels},
        resources=pod.resources,
        given=pod.given,
        parsed={},
        verdicts=verdicts,
        raw=raw if refused else None,
        judged_by=trust,
    )
    made.reported = raw.reported
    return made


# -- who ---------------------------------------------------------------------------------------------------------------


def entitled(pod: Pod, who: Believed, trust: TrustOptions, where: str) -> tuple[Outcome, str]:
    """Whether a pod is one of those whom the policy believes, and why. `where`: the key below `koordnri-config.trust`."""
    if pod.is_static:
        return "believed", "it is a static pod: root of the node wrote it"
    if pod.namespace in who.namespaces:
        return "believed", f"namespace {pod.namespace} is listed"
    spec = pod.spec
    if spec is None:
        if trust.without_spec == "believe":
            return "believed", "its spec is not known, and all such are believed"
        return "unknown", f"its spec is not known ({_PATH}.withoutSpec: refuse)"
    if spec.scheduler_name in who.schedulers:
        return "believed", f"schedulerName {spec.scheduler_name} is listed"
    account = f"{pod.namespace}/{spec.service_account or 'default'}"
    if account in who.service_accounts:
        return "believed", f"service account {account} is listed"
    expected = [f"schedulerName {' or '.join(who.schedulers)}"] if who.schedulers else []
    expected += [
        what for what, names in (("namespace", who.namespaces), ("service account", who.service_accounts)) if names
    ]
    got = f"schedulerName {spec.scheduler_name[:60] or '(none)'}, namespace {pod.namespace}, service account {account[:120]}"
    return "refused", f"nobody whom {_PATH}.{where} lists ({'; '.join(expected) or 'nobody'}): it has {got}"


# -- the rules ---------------------------------------------------------------------------------------------------------


def _resource_status(pod: Pod, trust: TrustOptions) -> Verdict | None:
    """CPUs and NUMA nodes that a scheduler assigned: only by listed schedulers, and no more CPUs than the pod requests."""
    key = RESOURCE_STATUS.key
    if key not in pod.annotations or not is_assigned(pod):  # one that cannot be parsed is reported by the cpuset hook
        return None
    outcome, why = entitled(pod, trust.resource_status, trust, "resourceStatus")
    if outcome == "believed" and pod.spec is not None:
        cpus, most = assigned_or_none(pod), requested_cpus(pod, pod.spec)
        if len(cpus) > most:
            outcome, why = "refused", f"it names {len(cpus)} CPUs ({str(cpus)[:60]}), and the pod requests {most}"
    return Verdict("resourceStatus", f"annotation {key}", outcome, why, annotations=(key,))


RULES: tuple[Rule, ...] = (_resource_status,)
"""In this order; each is about another input."""


def requested_cpus(pod: Pod, spec: PodSpec) -> int:
    """CPUs that the pod requests as schedulers count, rounded up: of containers that run at the same time, or of the pod as a whole if that
    is more, and its overhead. BE and mid pods request batch-cpu and mid-cpu instead.
    """
    by_container = {name: _milli(c.requests, c.limits) for name, c in spec.containers.items()}
    milli = max(most_together(pod, by_container), _milli(spec.requests, spec.limits)) + _milli(spec.overhead, {})
    return -(-milli // 1000)


def _milli(requests: Mapping[str, str | int | float], limits: Mapping[str, str | int | float]) -> int:
    """Without a request the limit counts, as in the API server."""
    total = 0
    for resource, read in (("cpu", quantity_milli), (BATCH_CPU, quantity_value), (_MID_CPU, quantity_value)):
        try:
            total += max(read(requests.get(resource, limits.get(resource, 0))), 0)
        except ValueError:  # the API server accepts none
            continue
    return total
