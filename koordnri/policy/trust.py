"""What is believed of a pod's annotations and labels, which anybody who may create a pod can write.

The one place that decides this. `believed` is called where a pod enters the ledger, and again when the trust rules change: what a rule
refuses is missing in the pod that hooks, the allocator and answers see, so none of them can forget to ask. The verdicts stay with the pod;
`explain`, Events, logs and counters have them from there.

A rule looks at one input of the raw pod, and returns a verdict; None when the pod does not have that input. Pure, and computed once per pod
and trust rules. Whether CPUs are another's depends on the node: koordnri.cpus.assignments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from koordnri.model.annotations import (
    BATCH_CPU,
    BLKIO_QOS_KEY,
    CPU_QUOTA_KEY,
    EXTENDED_RESOURCE_SPEC,
    OOM_SCORE_ADJ,
    OOM_SCORE_ADJ_SPEC,
    RESCTRL_KEY,
    RESOURCE_STATUS,
)
from koordnri.model.assigned import assigned_or_none, is_assigned
from koordnri.model.cpuset import CPUSet
from koordnri.model.errors import AnnotationError
from koordnri.model.injection import asked_by
from koordnri.model.phases import most_together
from koordnri.model.pod import Pod, PodSpec
from koordnri.model.qos import QOS_LABEL, QoSClass
from koordnri.model.quantity import quantity_milli, quantity_value
from koordnri.model.verdict import Outcome, Verdict
from koordnri.policy.blkio_qos import IOBlock
from koordnri.policy.pod_overrides import BLKIO_QOS
from koordnri.policy.trust_batch import RULE as RULE_OF_BATCH
from koordnri.policy.trust_batch import narrowed, written_batch
from koordnri.policy.trust_options import Believed, InjectionTrust, TrustOptions

_PATH = "koordnri-config.trust"
_MOST_NAMED = 4
_LONGEST_SELECTOR = 120
EXCLUSIVE_CPUS_RULE = "exclusiveCPUs"
INJECTION = "injection."
"""before the kind, in the names of its trust rules"""
_MID_CPU = "kubernetes.io/mid-cpu"
_NO_INJECTION = InjectionTrust()
Rule = Callable[[Pod, TrustOptions], Verdict | None]


def believed(pod: Pod, trust: TrustOptions, namespace_labels: Mapping[str, str] | None = None) -> Pod:
    """The pod without the inputs that these rules refuse; the same object when they refuse nothing, or have judged it already.

    namespace_labels   of the pod's namespace; None: not known
    """
    if pod.judged_by is trust and pod.namespace_labels is namespace_labels:
        return pod
    if pod.judged_by == trust and pod.namespace_labels == namespace_labels:
        # Another policy with the same rules: pods keep what was parsed of them.
        pod.judged_by, pod.namespace_labels = trust, namespace_labels
        return pod
    raw = pod.raw or pod
    raw.namespace_labels = namespace_labels
    verdicts = () if trust.mode == "off" else tuple(v for rule in RULES if (v := rule(raw, trust)) is not None)
    if trust.mode == "observe":
        verdicts = tuple(v if v.counts else v._replace(outcome="observed") for v in verdicts)
    if trust.injection != _NO_INJECTION:
        verdicts += tuple(_injections(raw, trust))
    refused = [v for v in verdicts if not v.counts]
    if not refused and pod.raw is None:
        pod.verdicts, pod.judged_by = verdicts, trust
        return pod
    return _without(pod, raw, refused, verdicts, trust)


def _without(pod: Pod, raw: Pod, refused: list[Verdict], verdicts: tuple[Verdict, ...], trust: TrustOptions) -> Pod:
    gone = {key for v in refused for key in v.annotations}
    labels = {key for v in refused for key in v.labels}
    instead = {key: text for v in refused for key, text in v.instead}
    made = replace(
        raw,
        annotations={key: instead.get(key, text) for key, text in raw.annotations.items() if key not in gone},
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
    selector, labels = who.namespace_selector, pod.namespace_labels
    if selector is not None and labels is not None and selector.matches(labels):
        return "believed", f"the labels of namespace {pod.namespace} match {str(selector)[:_LONGEST_SELECTOR]}"
    spec = pod.spec
    if spec is None and (who.schedulers or who.service_accounts):
        if where.startswith(INJECTION):
            # Whoever has a mount of the host has the node: never on the chance that the pod is listed.
            return "unknown", "its spec is not known, and withoutSpec does not count for injections"
        return _without_spec(trust)
    has = f"namespace {pod.namespace}"
    if spec is not None:
        if spec.scheduler_name in who.schedulers:
            return "believed", f"schedulerName {spec.scheduler_name} is listed"
        account = f"{pod.namespace}/{spec.service_account or 'default'}"
        if account in who.service_accounts:
            return "believed", f"service account {account} is listed"
        has = f"schedulerName {spec.scheduler_name[:60] or '(none)'}, {has}, service account {account[:120]}"
    if selector is not None and labels is None:
        return "unknown", f"the labels of namespace {pod.namespace} are not known ({_PATH}.{where}.namespaceSelector)"
    return "refused", f"nobody whom {_PATH}.{where} lists ({_listed(who) or 'nobody'}): it has {has}"


def _listed(who: Believed) -> str:
    selector = () if who.namespace_selector is None else (str(who.namespace_selector)[:_LONGEST_SELECTOR],)
    lists = (
        ("schedulerName", who.schedulers),
        ("namespace", who.namespaces),
        ("namespace with labels", selector),
        ("service account", who.service_accounts),
    )
    return "; ".join(f"{what} {' or '.join(names[:_MOST_NAMED])}" for what, names in lists if names)


def _without_spec(trust: TrustOptions) -> tuple[Outcome, str]:
    if trust.without_spec == "believe":
        return "believed", "its spec is not known, and all such are believed"
    return "unknown", f"its spec is not known ({_PATH}.withoutSpec: refuse)"


# -- the rules ---------------------------------------------------------------------------------------------------------


def _resource_status(pod: Pod, trust: TrustOptions) -> Verdict | None:
    """CPUs and NUMA nodes that a scheduler assigned: only by listed schedulers, and no more CPUs than the pod requests."""
    key = RESOURCE_STATUS.key
    if key not in pod.annotations or not is_assigned(pod):  # one that cannot be parsed is reported by the cpuset hook
        return None
    outcome, why = entitled(pod, trust.resource_status, trust, "resourceStatus")
    if outcome == "believed" and pod.spec is not None and not pod.is_static:
        cpus, most = assigned_or_none(pod), requested_cpus(pod, pod.spec)
        if len(cpus) > most:
            outcome, why = "refused", f"it names {len(cpus)} CPUs ({str(cpus)[:60]}), and the pod requests {most}"
    return Verdict("resourceStatus", f"annotation {key}", outcome, why, annotations=(key,))


def _extended_resource_spec(pod: Pod, trust: TrustOptions) -> Verdict | None:
    """Batch resources that only the annotation names: no more than the spec says otherwise."""
    written = written_batch(pod)
    if not written:
        return None
    outcome, why = entitled(pod, trust.extended_resource_spec, trust, RULE_OF_BATCH)
    if outcome != "believed" and pod.spec is not None:
        by_spec = narrowed(written, pod.spec)
        # Refused, and yet perhaps believed once the labels of its namespace are known.
        return by_spec._replace(outcome=outcome) if outcome == "unknown" and not by_spec.counts else by_spec
    if outcome != "believed":
        outcome, why = _without_spec(trust)
    key = EXTENDED_RESOURCE_SPEC.key
    return Verdict(RULE_OF_BATCH, f"annotation {key}", outcome, why, annotations=(key,))


def _exclusive_cpus(pod: Pod, trust: TrustOptions) -> Verdict | None:
    """Exclusive CPUs by the labels LSE and LSR, where the policy lists namespaces. `why_not_given` refuses them."""
    who = trust.exclusive_cpus.who
    if who is None or (pod.qos is not QoSClass.LSE and pod.qos is not QoSClass.LSR):
        return None
    outcome, why = entitled(pod, who, trust, EXCLUSIVE_CPUS_RULE)
    return Verdict(EXCLUSIVE_CPUS_RULE, f"exclusive CPUs by the label {QOS_LABEL}: {pod.qos.value}", outcome, why)


def _system_class(pod: Pod, trust: TrustOptions) -> Verdict | None:
    """SYSTEM pods run on the node's system CPUs and in no resctrl group of a class."""
    if pod.qos is not QoSClass.SYSTEM:
        return None
    outcome, why = entitled(pod, trust.system_class, trust, "systemClass")
    return Verdict("systemClass", f"label {QOS_LABEL}: SYSTEM", outcome, why, labels=(QOS_LABEL,))


def _resctrl(pod: Pod, trust: TrustOptions) -> Verdict | None:
    """A pod's own group has its own share of cache and bandwidth, up to all, and one of the few classes of service of the hardware."""
    if RESCTRL_KEY not in pod.annotations:
        return None
    outcome, why = entitled(pod, trust.resctrl, trust, "resctrl")
    return Verdict("resctrl", f"annotation {RESCTRL_KEY}", outcome, why, annotations=(RESCTRL_KEY,))


def _io_latency(pod: Pod, trust: TrustOptions) -> Verdict | None:
    """A pod's limits hold for itself alone, and its weight is at most what it has without one. A latency target slows its neighbours."""
    text = pod.annotations.get(BLKIO_QOS_KEY)
    if text is None:
        return None
    try:
        qos = BLKIO_QOS.of(pod)
    except AnnotationError:  # reported by the blkio hook
        return None
    if qos is None or all(block.io_cfg.io_latency_target is None for block in qos.blocks):
        return None
    outcome, why = entitled(pod, trust.io_latency, trust, "ioLatency")
    without = msgspec.json.encode({"blocks": [_without_latency(block) for block in qos.blocks]}).decode()
    what = f"ioLatencyTarget in annotation {BLKIO_QOS_KEY}"
    return Verdict("ioLatency", what, outcome, why, instead=((BLKIO_QOS_KEY, without),))


def _cpu_quota(pod: Pod, trust: TrustOptions) -> Verdict | None:
    """Without a quota a pod uses the idle CPUs of the node that its limit denies it."""
    if CPU_QUOTA_KEY not in pod.annotations:
        return None
    outcome, why = entitled(pod, trust.cpu_quota, trust, "cpuQuota")
    return Verdict("cpuQuota", f"annotation {CPU_QUOTA_KEY}", outcome, why, annotations=(CPU_QUOTA_KEY,))


def _oom_score(pod: Pod, trust: TrustOptions) -> Verdict | None:
    """Who is killed last lets the others be killed first."""
    found = tuple(one.key for one in (OOM_SCORE_ADJ, OOM_SCORE_ADJ_SPEC) if one.key in pod.annotations)
    if not found:
        return None
    outcome, why = entitled(pod, trust.oom_score, trust, "oomScore")
    return Verdict("oomScore", f"annotation {' and '.join(found)}", outcome, why, annotations=found)


def _without_latency(block: IOBlock) -> dict[str, Any]:
    """The block in JSON, as short as it can be: what replaces an annotation must not be longer than one may be."""
    settings = msgspec.to_builtins(msgspec.structs.replace(block.io_cfg, io_latency_target=None))
    given = {key: value for key, value in settings.items() if value is not None and value is not False}
    return {"name": block.name, **({} if block.type == "device" else {"type": block.type}), "ioCfg": given}


def another_has(cpus: CPUSet, *, observed: bool) -> Verdict:
    """The verdict on an assignment that names these CPUs, which are another pod's. It does not name that pod: tenants read it."""
    key = RESOURCE_STATUS.key
    why = f"it names CPUs of another pod ({str(cpus)[:60]}); it counts once they are free"
    return Verdict(
        "resourceStatus", f"annotation {key}", "observed" if observed else "refused", why, annotations=(key,)
    )


def _injections(pod: Pod, trust: TrustOptions) -> Iterator[Verdict]:
    """One verdict per kind of injection that is on and that the pod asks for, whatever `mode` says: nobody has these by default."""
    asked = asked_by(pod)
    for kind, who in trust.injection.listed().items() if asked else ():
        if keys := asked.get(kind):
            outcome, why = entitled(pod, who, trust, INJECTION + kind)
            what = f"annotation {keys[0]}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
            yield Verdict(INJECTION + kind, what, outcome, why, annotations=keys)


RULES: tuple[Rule, ...] = (
    _resource_status,
    _extended_resource_spec,
    _exclusive_cpus,
    _system_class,
    _resctrl,
    _io_latency,
    _cpu_quota,
    _oom_score,
)
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
