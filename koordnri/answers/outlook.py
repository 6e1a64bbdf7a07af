"""Sentences about what would change the values of a running pod. They follow from its explanation; nothing is decided again for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from koordnri.model import NodeState, Pod
from koordnri.policy import Policy

Shape = Mapping[str, Any]


def left_alone(pod: Pod, policy: Policy, node: NodeState) -> str:
    """Why no hook is asked about the pod, and what would change that; "" when hooks are asked."""
    if node.has_released(pod):
        return "released by `koordnri release`; koordnri decides it again once it has been restarted"
    if pod.namespace in policy.namespaces_left_alone:
        return (
            f"the policy leaves namespace {pod.namespace} alone; koordnri decides it again once the namespace is taken out of "
            "koordnri-config.namespacesLeftAlone"
        )
    return ""


def outlook(shape: Shape) -> list[str]:
    """The sentences. `shape`: the answer of koordnri.answers.explain, before its key `wouldChange` is filled in."""
    found = [shape["leftAlone"]] if shape["leftAlone"] else []
    found += _of_cpus(shape["cpus"])
    found += _of_cgroup("the pod's cgroup", shape["pod"])
    for container in shape["containers"]:
        where = f"container {container['name']}"
        if container["state"] == "ended":
            continue
        found += _of_cgroup(where, container)
        found += _of_restart(where, container["restart"])
    if shape["policy"]["refused"]:
        found.append(
            "a newer policy was refused, and the one before it is in force: `koordnri status` has the mistakes"
        )
    return list(dict.fromkeys(found))


def _of_cpus(cpus: Shape) -> Iterator[str]:
    for name, coming in cpus["coming"].items():
        yield f"container {name} gets CPUs {coming} as soon as all others have left them"
    for name, why in cpus["lacking"].items():
        had = "no more" if name in cpus["exclusive"] else "no"
        yield f"container {name} has {had} exclusive CPUs: {why}"


def _of_cgroup(where: str, cgroup: Shape) -> Iterator[str]:
    for name, field in cgroup["fields"].items():
        if field["agrees"] is False and field["refused"]:
            yield f"{name} of {where} has another value in the kernel, because the decided one could not be written: {field['refused']}"
        elif field["agrees"] is False:
            yield f"{name} of {where} has another value in the kernel than was decided: the reconciler writes it, within about 10 s"
        elif field.get("error"):
            yield f"{name} of {where} cannot be read: {field['error']}"
    for hook in dict.fromkeys(field["hook"] for field in cgroup["observed"].values()):
        yield f"hook {hook} is only observed; it takes effect with koordnri-config.hooks.{hook}.mode: enforce"


def _of_restart(where: str, restart: Shape) -> Iterator[str]:
    for name, field in restart.items():
        becomes = "is removed" if field["value"] is None else f"becomes {field['value']}"
        doubt = "" if field["certain"] else " (or is so already: koordnri has restarted since its creation)"
        yield f"{name} of {where} {becomes} only when it is created again: restart the pod{doubt}"
