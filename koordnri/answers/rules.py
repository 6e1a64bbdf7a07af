"""Which rule gave a field its value: an annotation, the QoS label, a key of the policy, a class's default, or a fact of the node.

Found by trying: the chain is pure, so the pod is decided again without each of these. What changes a field's value, or takes it away, is
one of the field's rules. So this holds for every hook, whoever wrote it, and costs the event path nothing. A field may have several rules;
one without any has its value whatever pod, policy and node say.

    RULE   {"kind": "annotation" | "label" | "spec" | "policy" | "class default" | "node", "name", "strategy"}

`name`: the key of the annotation or label, `resources` of the pod's spec, the path in the policy
(`resource-qos-config.lsClass.memoryQOS.minLimitPercent`), or what of the node (`exclusive CPUs`). `class default`: the policy switches the
block `name` on, and its other keys have their defaults. `strategy`: the node strategy that the policy's key comes from, "" for the
cluster's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from koordnri.chain import ContainerRefused, Snapshot
from koordnri.model import Decision, NodeState, Pod, Setting
from koordnri.model.difference import agree
from koordnri.model.node_annotations import NORMALIZATION_RATIO_KEY
from koordnri.policy import DEFAULT_POLICY, Policy
from koordnri.policy.difference import SECTIONS

Decide = Callable[[Pod, Snapshot], Decision]
"""decides the pod, or one of its containers"""
MOST_TRIED = 100
"""annotations, and as many labels, of one pod"""
_DOMAIN = "koordinator.sh/"
_TRUST = "trust"
"""Applied before the chain runs: what is not believed is not among the pod's texts."""
_RATIO, _ENABLE = "normalization", ".enable"


class Rule(NamedTuple):
    """See the module."""

    kind: str
    name: str
    strategy: str = ""


_SPEC = Rule("spec", "resources")


def rules_of(decide: Decide, pod: Pod, snapshot: Snapshot) -> dict[str, list[Rule]]:
    """Name of a decided or observed field → its rules, possibly none."""
    before = _settings(decide, pod, snapshot) or {}
    found: dict[str, list[Rule]] = {name: [] for name in before}
    for rule, other_pod, other_snapshot in _without_each(pod, snapshot):
        after = _settings(decide, other_pod, other_snapshot)
        if after is None:
            continue  # then the container would be refused, which says nothing about a value
        for name, setting in before.items():
            if name not in after or not agree(setting.field, setting.value, after[name].value):
                found[name].append(rule)
    return {name: _shortened(rules) for name, rules in found.items()}


def _settings(decide: Decide, pod: Pod, snapshot: Snapshot) -> Mapping[str, Setting] | None:
    try:
        decision = decide(pod, snapshot)
    except ContainerRefused:
        return None
    return {**decision.in_files, **decision.observed}


def _without_each(pod: Pod, snapshot: Snapshot) -> Iterator[tuple[Rule, Pod, Snapshot]]:
    for key in _tried(pod.annotations):
        kept = {other: text for other, text in pod.annotations.items() if other != key}
        yield Rule("annotation", key), replace(pod, annotations=kept, parsed={}), snapshot
    for key in _tried(pod.labels):
        kept = {other: text for other, text in pod.labels.items() if other != key}
        yield Rule("label", key), replace(pod, labels=kept, parsed={}), snapshot
    if pod.spec is not None:
        yield _SPEC, replace(pod, spec=None), snapshot
    policy, node = snapshot
    for attribute, path in SECTIONS.items():
        if attribute == _TRUST:
            continue
        strategy = policy.strategies.get(path.partition(".")[0], "")
        value, default = getattr(policy, attribute), getattr(DEFAULT_POLICY, attribute)
        for below, changed in _resets(value, default):
            other = msgspec.structs.replace(policy, **{attribute: changed})
            yield Rule("policy", f"{path}.{below}", strategy), pod, _under(other, node, again=attribute == _RATIO)
    for what, less in _less_of(node, pod):
        yield Rule("node", what), pod, snapshot._replace(node=less)


def _tried(texts: Mapping[str, str]) -> list[str]:
    """Keys to be left out one by one. A pod may have thousands; those that our hooks read come first."""
    return sorted(texts, key=lambda key: _DOMAIN not in key)[:MOST_TRIED]


def _resets(value: Any, default: Any) -> Iterator[tuple[str, Any]]:
    """(path below a section, the section with the default there) of each key that has another value than by default."""
    for field in msgspec.structs.fields(type(value)):
        mine, usual = getattr(value, field.name), getattr(default, field.name)
        if mine == usual:
            continue
        if isinstance(mine, msgspec.Struct) and isinstance(usual, msgspec.Struct):
            inner = [(f"{field.encode_name}.{path}", changed) for path, changed in _resets(mine, usual)]
        else:
            inner = [(field.encode_name, usual)]
        for path, changed in inner:
            yield path, msgspec.structs.replace(value, **{field.name: changed})


def _under(policy: Policy, node: NodeState, *, again: bool) -> Snapshot:
    """`again`: the node's normalisation ratio may be the policy's, and is computed again."""
    if not again or NORMALIZATION_RATIO_KEY in node.annotations:
        return Snapshot(policy, node)
    return Snapshot(policy, replace(node, normalization_ratio=policy.normalization.ratio_of(node)))


def _less_of(node: NodeState, pod: Pod) -> Iterator[tuple[str, NodeState]]:
    """(a fact of the node, the node without it), of facts that some policies and pods bring about."""
    if pod.key in node.exclusive_cpus or pod.key in node.dra_cpus:
        others = {key: cpus for key, cpus in node.exclusive_cpus.items() if key != pod.key}
        claims = {key: cpus for key, cpus in node.dra_cpus.items() if key != pod.key}
        yield "exclusive CPUs", replace(node, exclusive_cpus=others, dra_cpus=claims)
    if node.ls_pools or node.be_pools:
        yield "share pools", replace(node, ls_pools=(), be_pools=())
    if node.system_cpus:
        yield "system CPUs", replace(node, system_cpus="")
    if NORMALIZATION_RATIO_KEY in node.annotations:
        yield f"annotation {NORMALIZATION_RATIO_KEY}", replace(node, normalization_ratio=None)


def _shortened(rules: list[Rule]) -> list[Rule]:
    """A block that is switched on stands for itself only if none of its other keys counts: then its defaults do."""
    found = []
    for rule in rules:
        block = rule.name.removesuffix(_ENABLE)
        if rule.kind != "policy" or block == rule.name:
            found.append(rule)
        elif not any(other is not rule and other.name.startswith(f"{block}.") for other in rules):
            found.append(rule._replace(kind="class default", name=block))
    return found
