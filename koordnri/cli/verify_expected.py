"""What the pods of `koordnri verify` should get by this node's policy and their annotations; computed before they are created.

It is computed as `koordnri explain -f --live` computes it: the daemon is asked for its policy, its node and the exclusive CPUs that others
hold, and has not seen the pods yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from koordnri.answers.explain import asked_of
from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.cli.explanation import create_pods, explain_pod
from koordnri.cli.live import ask_daemon, held_beside
from koordnri.cli.pods_file import load_pods
from koordnri.cli.verify_pods import CONTAINER, PodSample
from koordnri.cpus.creation import Creation
from koordnri.cpus.permission import may_give, why_not_given
from koordnri.cpus.wish import may_wish
from koordnri.kubelet import pod_messages
from koordnri.model import Container, Event, Field, Pod, fields
from koordnri.model.plain import plain_value
from koordnri.policy import resolve


class Expected(NamedTuple):
    """What one class's container should live under."""

    sample: PodSample
    values: Mapping[Field, Any]
    """each in the field's unit; without cpu.cpus"""
    exclusive: int
    """number of exclusive CPUs"""
    why_shared: str
    """why a class that wants exclusive CPUs gets none here; "" for others"""


class Expectations(NamedTuple):
    """Of all classes."""

    of: list[Expected]
    """in the order of the samples"""
    cgroup_version: int


def expect(samples: Iterable[tuple[PodSample, Mapping[str, Any]]], state_dir: Path) -> Expectations:
    """`samples`: each with its manifest. Raises ControlError, DocumentError (a policy of a newer version), ChainError."""
    samples = list(samples)
    live = ask_daemon(state_dir)
    document, node = live.policy(""), live.node("")
    snapshot = Snapshot.of(resolve(document, node.name, node.labels), node)
    manifests = load_pods(json.dumps({"kind": "List", "items": [manifest for _, manifest in samples]})).pods
    messages = (pod_messages(one, node) for one in manifests)
    pods, creation = create_pods(messages, snapshot, held_beside(state_dir, ()))
    chain = Chain(load_hooks())
    found = [
        _expected(sample, chain, pod, container, creation)
        for (sample, _), (pod, (container,)) in zip(samples, pods, strict=True)
    ]
    return Expectations(found, node.cgroup_version)


def _expected(sample: PodSample, chain: Chain, pod: Pod, container: Container, creation: Creation) -> Expected:
    decision = explain_pod(chain, pod, [container], creation, Event.CREATE).containers[CONTAINER]
    node, values = creation.snapshot.node, dict[Field, Any]()
    for field in sample.fields:
        if field is fields.CPU_CPUS:
            continue
        setting = decision.settings.get(field.name)
        value = asked_of(field, container.baseline, node) if setting is None else plain_value(setting.value)
        if value is not None:
            values[field] = value
    given = creation.given.get(pod.key, {}).get(CONTAINER)
    if given:
        return Expected(sample, values, len(given), "")
    return Expected(sample, values, 0, _why_shared(pod, creation))


def _why_shared(pod: Pod, creation: Creation) -> str:
    policy, node = creation.snapshot
    if not may_wish(pod):
        return ""
    if not may_give(pod, policy, node):
        return why_not_given(pod, policy, node)
    return str(creation.lacking.get((pod.key, CONTAINER), "no exclusive CPUs are free"))
