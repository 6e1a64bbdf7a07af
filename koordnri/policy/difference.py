"""What is different between two policies of one node, key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from koordnri.policy.koordnri_config import OtherHookOptions
from koordnri.policy.policy import Policy

_OWN_HOOKS = ("cpuset", "cfs_quota", "memory", "rdt", "blkio", "gpu")
SECTIONS: Mapping[str, str] = {
    "qos": "resource-qos-config",
    "threshold": "resource-threshold-config",
    "burst": "cpu-burst-config",
    "system": "system-config",
    "normalization": "cpu-normalization-config",
    "controllers": "koordnri-config.controllers",
    "trust": "koordnri-config.trust",
    **{hook: f"koordnri-config.hooks.{hook}" for hook in _OWN_HOOKS},
}
"""attribute of Policy → path of its key, of those whose keys are compared one by one"""
_WHOLE: Mapping[str, str] = {
    "host_applications": "host-application-config.applications",
    "namespaces_left_alone": "koordnri-config.namespacesLeftAlone",
    "reserved_cpus": "koordnri-config.reservedCPUs",
    "record_route": "koordnri-config.recordRoute",
    "publish_topology": "koordnri-config.publishTopology",
}
"""likewise, of those that are compared as a whole"""
_BUDGET = "koordnri-config.chainBudgetMilliseconds"
_LONGEST = 200
"""characters of a value"""


class PolicyChange(NamedTuple):
    """One key that has another value. Values are JSON; a long one is cut."""

    path: str
    old: str
    new: str


def policy_changes(before: Policy, after: Policy) -> list[PolicyChange]:
    """Each key whose value is another one, in the order of the keys' names. Defaults count as values."""
    return sorted(PolicyChange(path, _shown(old), _shown(new)) for path, old, new in _differences(before, after))


def _differences(before: Policy, after: Policy) -> Iterator[tuple[str, Any, Any]]:
    for attribute, path in SECTIONS.items():
        yield from _of_values(path, getattr(before, attribute), getattr(after, attribute))
    for attribute, path in _WHOLE.items():
        if (old := getattr(before, attribute)) != (new := getattr(after, attribute)):
            yield path, old, new
    if before.chain_budget_s != after.chain_budget_s:
        yield _BUDGET, _milliseconds(before.chain_budget_s), _milliseconds(after.chain_budget_s)
    for name in (before.hooks.keys() | after.hooks.keys()).difference(_OWN_HOOKS):
        first, second = before.hooks.get(name), after.hooks.get(name)
        # A policy that does not name a hook has its defaults.
        default = type(first or second or OtherHookOptions())()
        yield from _of_values(f"koordnri-config.hooks.{name}", first or default, second or default)


def _of_values(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if type(old) is not type(new) or not isinstance(old, msgspec.Struct):
        yield path, old, new
        return
    for field in msgspec.structs.fields(type(old)):
        yield from _of_values(f"{path}.{field.encode_name}", getattr(old, field.name), getattr(new, field.name))


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _shown(value: Any) -> str:
    if isinstance(value, frozenset):
        value = sorted(value)
    text = json.dumps(msgspec.to_builtins(value, enc_hook=str), ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
