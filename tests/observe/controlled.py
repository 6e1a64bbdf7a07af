"""What the control socket controls, without the daemon around it: the fake node's ledger, chain, reconciler and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.host.cgroup.change import Status
from koordnri.model import Container, Resources
from koordnri.policy import PolicyDocument, resolve
from koordnri.reconcile.classes import classes_above
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.rows import Comparison, Released
from koordnri.reconcile.compare.running import Files, Running
from koordnri.reconcile.owner import names_of_class, names_of_pod
from tests.reconcile.fake_node import FakeNode, sandbox_of


class Controlled:
    """koordnri.observe.control.Controls of a fake node. `meanwhile` runs while a comparison or a release is asked for."""

    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.refused: dict[str, Any] | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    def policy_state(self) -> Mapping[str, Any]:
        policy = self.node.policy
        accepted = {"revision": policy.revision, "source": policy.source, "strategies": policy.strategies}
        return {"accepted": accepted, "refused": self.refused}

    def compare(self, new: PolicyDocument, against: PolicyDocument | None) -> Comparison:
        self.meanwhile()
        node = self.node
        running = []
        for pod in node.ledger.pods():
            had = node.ledger.originals(pod.id)
            own = node.kernel.cgroups[pod.cgroup_parent.strip("/")]
            asked = Resources(cpu_quota=had.get("cpu.quota", -1 if own.quota is None else own.quota))
            containers = [Container(e.id, e.name, pod.id, e.baseline) for e in node.ledger.containers_of(pod.id)]
            running.append(Running(pod.with_resources(asked), containers, Files(had)))
        old = node.snapshot if against is None else self._under(against)
        return compare(Chain(load_hooks()), running, old, self._under(new))

    def release(self, pod: str | None) -> Sequence[Released]:
        self.meanwhile()
        node = self.node
        pods = {f"{p.namespace}/{p.name}": p for p in node.ledger.pods()}
        if pod is not None and pod not in pods:
            raise LookupError(f"{pod} has no sandbox on this node")
        ids = {"*"} if pod is None else {pods[pod].id}
        node.state = replace(node.state, released=node.state.released | ids)
        classes = [one.cgroup for one in classes_above(list(pods.values()), node.state)]
        owners = {cgroup.directory: (names_of_class(cgroup), "") for cgroup in classes}
        owners |= {p.cgroup_parent.strip("/"): (names_of_pod(p), "") for p in pods.values()}
        owners |= {sandbox_of(p): (names_of_pod(p), "") for p in pods.values()}
        owners |= {
            f"{p.cgroup_parent.strip('/')}/{e.id}": (names_of_pod(p), e.name)
            for p in pods.values()
            for e in node.ledger.containers_of(p.id)
        }
        released = []
        for outcome in node.run_pass():
            if outcome.status is not Status.SAME:
                names, container = owners[outcome.change.directory]
                field = outcome.change.field.named(outcome.change.key)
                row = Released(
                    "", "", container, field, outcome.before, outcome.after, outcome.status.value, outcome.error
                )
                released.append(row._replace(**names))
        return sorted(released, key=lambda one: one.place)

    def _under(self, document: PolicyDocument) -> Snapshot:
        return Snapshot.of(resolve(document, self.node.state.name, {}), self.node.state)
