"""Comparisons of two policies on a fake node, or on a node that is only described."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.hook import ClassContext, ContainerContext, Hook, PodContext
from koordnri.host.cgroup.change import Reading, Status
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Container, Field, NodeState, Pod, Resources, fields
from koordnri.model.fields import UNLIMITED, Mount
from koordnri.reconcile.classes import classes_above
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.rows import Comparison
from koordnri.reconcile.compare.running import Above, Files, Running
from tests.host.fake_kernel import ROOT
from tests.reconcile.fake_node import FakeNode, sandbox_of
from tests.support.pods import pod as pod_of
from tests.support.policies import policy_of

BOTH = pytest.mark.parametrize("version", [1, 2])
CLASS_DIRECTORIES = {"Guaranteed": "kubepods", "Burstable": "burstable", "BestEffort": "besteffort", "root": "."}
BE_DISK = {"name": "/dev/sda", "ioCfg": {"readBPS": 1024, "ioWeightPercent": 30}}
COST = {"name": "/dev/sdb", "ioCfg": {"enableUserModel": True, "modelReadBPS": 1 << 30}}
LS_MEMORY = {"memoryQOS": {"enable": True, "minLimitPercent": 50, "lowLimitPercent": 80, "throttlingPercent": 90}}


def classes(**strategies: Any) -> dict[str, Any]:
    """A policy with these classes."""
    return {"resource_qos_config": {"clusterStrategy": strategies}}


def hooks(**options: Any) -> dict[str, Any]:
    """A policy with these options of hooks."""
    return {"koordnri_config": {"clusterStrategy": {"hooks": options}}}


def running(node: FakeNode) -> list[Running]:
    """What runs on the node, as its daemon knows it."""
    found = []
    for pod in node.ledger.pods():
        had = node.ledger.originals(pod.id)
        cgroup = node.kernel.cgroups[pod.cgroup_parent.strip("/")]
        limit = UNLIMITED if cgroup.limit > 1 << 60 else cgroup.limit
        set_ = Resources(
            cpu_quota=had.get("cpu.quota", UNLIMITED if cgroup.quota is None else cgroup.quota),
            memory_limit=had.get("memory.limit", limit),
        )
        containers = [Container(e.id, e.name, pod.id, e.baseline) for e in node.ledger.containers_of(pod.id)]
        found.append(Running(pod.with_resources(set_), containers, Files(had, partial(sandbox_file, node, pod))))
    return found


def sandbox_file(node: FakeNode, pod: Pod, field: Field, disk: str) -> Reading:
    """What a pod's sandbox has of cpu.cpus; nothing else is read."""
    if field is not fields.CPU_CPUS:
        return Reading(None, Status.GONE)
    return Writer(ROOT, node.kernel.version, node.kernel).read(sandbox_of(pod), field)


def above(node: FakeNode) -> list[Above]:
    """What its daemon knows of the classes."""
    cgroups = [one.cgroup for one in classes_above(node.ledger.pods(), node.state)]
    return [Above(cgroup, files=Files(node.ledger.originals(cgroup.id))) for cgroup in cgroups]


def reported(node: FakeNode, **new: Any) -> Comparison:
    """The policy in force against this one."""
    new_snapshot = Snapshot.of(policy_of(**new), node.state)
    return compare(Chain(load_hooks()), running(node), node.snapshot, new_snapshot, above(node))


def one(
    *containers: Container, pod: Pod | None = None, state: NodeState, old: Any, new: Any, **options: Any
) -> Comparison:
    """One pod on a node that is only described."""
    pod = pod or pod_of(name="p")
    chain = Chain(options.get("hooks") or load_hooks())
    snapshots = (Snapshot.of(policy_of(**policy), state) for policy in (old, new))
    return compare(chain, [Running(pod, containers)], *snapshots)


def moves(found: Comparison, route: str) -> dict[tuple[str, str, str], tuple[Any, Any]]:
    return {(d.pod, d.container, d.field): (d.before, d.after) for d in found.differences if d.route == route}


class Third(Hook):
    """A third party's hook that does as its options say: field → value; `fail` raises."""

    name = "third"
    order = 5
    owns = (
        fields.ENV,
        fields.MOUNT,
        fields.CPU_BURST,
        fields.CPU_MEMS,
        fields.CPU_QUOTA,
        fields.CPU_SHARES,
        fields.MEMORY_MIN,
    )

    def decide(self, ctx: ContainerContext) -> None:
        self._do(ctx, ctx.policy.hook_options(self.name).get("container", {}))

    def decide_pod(self, ctx: PodContext) -> None:
        self._do(ctx, ctx.policy.hook_options(self.name).get("pod", {}))

    def decide_class(self, ctx: ClassContext) -> None:
        options = ctx.policy.hook_options(self.name).get("class", {})
        if options == "count":
            ctx.set(fields.MEMORY_MIN, 4096 * len(ctx.pods), "a page for each pod")
        else:
            self._do(ctx, options)

    def _do(self, ctx: ContainerContext | PodContext | ClassContext, options: Any) -> None:
        if options == "fail":
            raise RuntimeError("no idea")
        for name, value in options.items():
            field, key = next(f for f in self.owns if f.name == name.partition("[")[0]), name.partition("[")[2][:-1]
            ctx.set(field, Mount(**value) if isinstance(value, dict) else value, "as set", key)


def third(container: Any = (), pod: Any = (), of_class: Any = (), **more: Any) -> dict[str, Any]:
    """A policy with these options of the hook `third`."""
    options = {"container": container or {}, "pod": pod or {}, "class": of_class or {}}
    return hooks(third={"options": options, **more})


def container(**asked: Any) -> Container:
    return Container("c", "main", "p", Resources(**asked))


def compared(old: Any, new: Any, *, version: int = 2, **asked: Any) -> Comparison:
    """One container under two policies of the hook `third`, on a node that is only described."""
    return one(container(**asked), state=NodeState(cgroup_version=version), old=old, new=new, hooks=[Third()])
