"""A node with a fake kernel's resctrl, pods with threads, and what brings both about. Kubelet and the runtime are the test itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from koordnri_hooks.rdt import RDT

from koordnri.chain import Chain, Snapshot
from koordnri.model import Container, Event, NodeState, Pod
from koordnri.model.errors import AnnotationError
from koordnri.model.fields import RDT_CLOSID
from koordnri.model.node import Resctrl
from koordnri.model.resctrl_spec import RESCTRL
from koordnri.model.resources import NOTHING
from koordnri.model.schemata import Cache, MemoryBandwidth
from koordnri.resctrl.groups import GroupOutcome, ResctrlGroups
from koordnri.resctrl.monitors import ResctrlMonitors
from koordnri.resctrl.threads import MovedThreads, ResctrlThreads
from tests.host.fake_resctrl import FakeResctrl
from tests.support.pods import pod as pod_of
from tests.support.policies import policy_of

PARENTS = {"LSR": "kubepods", "LS": "kubepods/burstable", "BE": "kubepods/besteffort"}


def asks(llc: Any = None, mb: int | None = None, **more: Any) -> str:
    """The pod's annotation."""
    spec = {"llc": {"schemata": {"range": llc}}} if llc else {}
    return json.dumps(spec | ({"mb": {"schemata": {"percent": mb}}} if mb else {}) | more)


def classes(**enabled: dict[str, Any] | None) -> dict[str, Any]:
    """resource-qos-config with these classes' resctrlQOS enabled: `classes(be={"mbaPercent": 50})`."""
    given = {f"{name}Class": {"resctrlQOS": {"enable": True, **(has or {})}} for name, has in enabled.items()}
    return {"resource_qos_config": {"clusterStrategy": given}}


OFF = {"koordnri_config": {"clusterStrategy": {"hooks": {"rdt": {"mode": "off"}}}}}


class ResctrlNode:
    """`kernel` may be another's: then the daemon was restarted there. `state` is what the state directory has."""

    def __init__(self, kernel: FakeResctrl | None = None, state: list[str] | None = None) -> None:
        self.kernel = kernel or FakeResctrl()
        self.state = [] if state is None else state
        self.pods: dict[str, Pod] = {}
        self.policy = policy_of()
        self.released: frozenset[str] = frozenset()
        self.chain = Chain([RDT()])
        self.groups = ResctrlGroups(self.kernel.tree, self.state, self._keep)
        self.threads = ResctrlThreads(self.kernel.tree, self.groups)
        self.monitors = ResctrlMonitors(self.kernel.tree, self.groups)

    def _keep(self, names: list[str]) -> None:
        self.state = list(names)

    def restarted(self, *, lost: bool = False) -> ResctrlNode:
        """A new daemon, which Synchronize has informed of all pods. `lost`: its state directory is empty."""
        new = ResctrlNode(self.kernel, [] if lost else list(self.state))
        new.pods, new.policy, new.released = dict(self.pods), self.policy, self.released
        return new

    # kubelet and the runtime

    def set_policy(self, **sections: Any) -> None:
        self.policy = policy_of(**sections)

    def pod(
        self, name: str, qos: str = "LS", annotation: str | None = None, containers: int = 1, threads: int = 2
    ) -> Pod:
        """A pod whose containers run."""
        kept = {} if annotation is None else {RESCTRL.key: annotation}
        parent = f"{PARENTS.get(qos, 'kubepods')}/pod{name}"
        pod = pod_of(qos, f"/{parent}", kept, name=name)
        self.pods[name] = pod
        for i in range(containers):
            tid = self.kernel.spawn(f"{parent}/c{i}")
            for _ in range(threads - 1):
                self.kernel.fork(tid)
        return pod

    def annotate(self, name: str, annotation: str | None) -> None:
        """Somebody edits the pod."""
        old = self.pods[name]
        kept = {} if annotation is None else {RESCTRL.key: annotation}
        self.pods[name] = replace(old, annotations=kept, parsed={})

    def kill(self, name: str) -> None:
        pod = self.pods.pop(name)
        parent = pod.cgroup_parent.strip("/")
        self.kernel.threads = {
            tid: t for tid, t in self.kernel.threads.items() if not t.cgroup.startswith(f"{parent}/")
        }
        self.kernel.cgroups = {c for c in self.kernel.cgroups if not c.startswith(f"{parent}/")}

    def containers(self, name: str) -> list[str]:
        """Their cgroups."""
        parent = self.pods[name].cgroup_parent.strip("/")
        return sorted({c for c in self.kernel.cgroups if c.startswith(f"{parent}/")})

    # the daemon

    @property
    def node(self) -> NodeState:
        k = self.kernel
        caches = tuple(Cache(name, k.cbm, k.ids, k.min_bits) for name in k.caches)
        bandwidth = None if k.bandwidth is None else MemoryBandwidth(k.ids, gran=k.bandwidth[1], least=k.bandwidth[0])
        present = k.tree.groups() or frozenset()
        resctrl = Resctrl("intel", k.cbm, k.num_closids, k.ids, present, caches, bandwidth) if k.mounted else None
        return self.groups.applied(NodeState(name="n", resctrl=resctrl, released=self.released))

    def decided(self, name: str, event: Event = Event.SYNC) -> str | None:
        """The group that the hook decides for a pod's containers; "" for none of ours, None when it could not decide."""
        pod = self.pods[name]
        snapshot = Snapshot(self.policy, self.node)
        decision = self.chain.decide_container(pod, Container("c", "c", pod.id, NOTHING), event, snapshot)
        return None if RDT_CLOSID in decision.undecided else decision.value(RDT_CLOSID) or ""

    def run_pass(self, *, complete: bool = True) -> tuple[list[GroupOutcome], MovedThreads]:
        """As the reconcile thread does it: groups, decisions, threads."""
        outcomes = self.groups.reconcile(self.pods.values(), self.policy, self.node, complete=complete)
        places = {
            directory: group
            for name in self.pods
            if (group := self.decided(name)) is not None
            for directory in self.containers(name)
        }
        return outcomes, self.threads.settle(places, self.kernel.version)

    # what is there

    def lines(self, group: str) -> dict[str, dict[int, int]]:
        return self.kernel.groups[group].lines

    def ours(self) -> set[str]:
        return {g for g in self.kernel.groups if g}

    def group_of(self, name: str) -> set[str]:
        """The groups that a pod's threads are in."""
        return self.kernel.groups_of(self.pods[name].cgroup_parent.strip("/"))


def is_bad(pod: Pod) -> bool:
    """Whether the pod's annotation cannot be read."""
    try:
        RESCTRL.of(pod)
    except AnnotationError:
        return True
    return False


FULL = {"L3": {0: 0x7FF, 1: 0x7FF}, "MB": {0: 100, 1: 100}}
BE_HALF = classes(be={"catRangeEndPercent": 50, "mbaPercent": 45})
HALF = {"L3": {0: 0x3F, 1: 0x3F}, "MB": {0: 50, 1: 50}}
