"""A fake node: the real ledger, hooks, policy and reconciler over a fake kernel's cgroups. Kubelet and runtime are the test itself."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from structlog.testing import CapturingLogger

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.hook import ContainerContext, Hook
from koordnri.host.cgroup.change import Outcome, Status
from koordnri.host.cgroup.files import CgroupFiles
from koordnri.host.cgroup.paths import container_directory
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Container, CPUSet, Decision, Event, NodeState, Pod, Resources
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, EXTENDED_RESOURCE_SPEC, RESOURCE_STATUS
from koordnri.model.convert import shares_to_weight
from koordnri.model.fields import UNLIMITED
from koordnri.model.node import MAINLINE_V2_FILES
from koordnri.model.pod import SOURCE_KEY, ContainerSpec, PodSpec
from koordnri.model.topology import Topology
from koordnri.reconcile.failures import Failure
from koordnri.reconcile.reconciler import Reconciler
from koordnri.reconcile.recorder import Recorder
from koordnri.reconcile.requests import Requests
from koordnri.state.causes import PassDone
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.state.world import World
from tests.host.fake_kernel import NO_LIMIT, PAGE, ROOT, Cgroup, FakeKernel
from tests.support.pods import pod as pod_of
from tests.support.policies import policy_of

MIB = 1 << 20
CLASSES = ("kubepods", "kubepods/burstable", "kubepods/besteffort")
PARENTS = {"Guaranteed": "/kubepods", "Burstable": "/kubepods/burstable", "BestEffort": "/kubepods/besteffort"}
DISKS = {"/dev/sda": "8:0", "/dev/sda1": "8:0", "/dev/sdb": "8:16"}
"""a partition stands for its disk"""
HALVED = {"cpu_normalization_config": {"enable": True, "defaultRatio": 2.0}}
"""A policy by which this node's CPUs count double, so that quotas are halved."""
FILES = {
    1: ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares", "cpuset.cpus", "memory.limit_in_bytes"),
    2: ("cpu.max", "cpu.weight", "cpuset.cpus", "memory.max", "memory.min", "memory.low", "memory.high", "io.max", "io.weight"),
}  # fmt: skip
"""What is looked at, by cgroup version."""


def pinned_to(cpus: str) -> dict[str, str]:
    """Annotations of a static pod with exclusive CPUs, which every policy believes."""
    return {RESOURCE_STATUS.key: json.dumps({"cpuset": cpus}), SOURCE_KEY: "file"}


def sandbox_of(pod: Pod) -> str:
    """The cgroup of its pause container."""
    return place_of(pod, pod.id)


def place_of(pod: Pod, container_id: str) -> str:
    """The cgroup of a container, also in a parent that the daemon would not take."""
    if pod.cgroup_parent.endswith(".slice"):
        return container_directory(pod.cgroup_parent, container_id, "containerd")
    return f"{pod.cgroup_parent.strip('/')}/{container_id}"


def slice_of(name: str) -> str:
    """Cgroup of a Burstable pod under the systemd driver, for `FakeNode.pod`."""
    return f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{name}.slice"


def batch_of(**milli_and_mib: tuple[int, int]) -> dict[str, str]:
    """Annotations of a static batch pod: container → (milli-CPUs, MiB), as requests and limits; 0 is none."""
    table = {}
    for name, (milli, mib) in milli_and_mib.items():
        given = {BATCH_CPU: str(milli), BATCH_MEMORY: str(mib * MIB)}
        table[name] = {"requests": given, "limits": {k: v for k, v in given.items() if v != "0"}}
    return {EXTENDED_RESOURCE_SPEC.key: json.dumps({"containers": table}), SOURCE_KEY: "file"}


class FakeMachine:
    """The machine that a reconciler works on: a fake kernel, and what a test says holds now."""

    def __init__(
        self, world: Callable[[], World], kernel: CgroupFiles, save: Callable[[], None] = lambda: None
    ) -> None:
        self.world = world
        self.save = save
        self._kernel = kernel

    def writer(self, cgroup_version: int) -> Writer:
        return Writer(ROOT, cgroup_version, self._kernel)


class FakeReports:
    """Drops all reports, but for those that a test receives; a pod that is gone is forgotten."""

    NAMES = ("decided_again", "class_decided_again", "not_applied", "passed", "pod_gone", "warn_node")

    def __init__(self, ledger: Ledger, **receivers: Callable[..., Any]) -> None:
        self._ledger = ledger
        vars(self).update(receivers)

    def decided_again(self, pod: Pod, container: str, decision: Decision) -> None: ...

    def class_decided_again(self, kube_class: str, decision: Decision) -> None: ...

    def not_applied(self, failure: Failure) -> None: ...

    def passed(self, done: PassDone) -> None: ...

    def pod_gone(self, pod: Pod) -> None:
        self._ledger.forget_pod(pod.id)

    def warn_node(self, reason: str, message: str) -> None: ...


class FakeNode:
    """`kernel` may be another FakeNode's: then the daemon was restarted there. `written` is what its state directory had. With `crun`,
    containers in slices have their processes one level below their scope, as under systemd on v2.
    """

    def __init__(
        self,
        version: int = 2,
        kernel: FakeKernel | None = None,
        written: dict[str, dict[str, Any]] | None = None,
        hooks: Iterable[Hook] = (),
        world: Callable[[World], World] = lambda world: world,
        crun: bool = False,
        recorder: Callable[[FakeNode], Recorder] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        self.crun = crun
        self.kernel = kernel or FakeKernel(version, CLASSES)
        self.log = CapturingLogger()
        self.saves = 0
        self.state = NodeState(
            name="n",
            topology=Topology.regular(1, 1, 8, 1),
            cgroup_version=version,
            cgroup_files=MAINLINE_V2_FILES if version == 2 else frozenset(),
            memory_bytes=1024 * MIB,
            block_devices=DISKS,
        )
        self.policy = policy_of()
        self.ledger = Ledger(None, self._saved, written)
        self._hooks = list(hooks) or load_hooks()
        self._events = Chain(self._hooks)
        self.recorder = None if recorder is None else recorder(self)
        unsettle = (lambda: None) if self.recorder is None else self.recorder.unsettle
        self.requests = Requests(self.ledger, unsettle, monotonic=monotonic)
        save = options.pop("save", lambda: None)
        self.machine = FakeMachine(lambda: world(World(self.snapshot, "containerd")), self.kernel, save)
        receivers = {name: options.pop(name) for name in FakeReports.NAMES if name in options}
        self.reconciler = Reconciler(
            Chain(self._hooks),
            self.ledger,
            self.machine,
            self.requests,
            FakeReports(self.ledger, **receivers),
            self.log,
            recorder=self.recorder,
            monotonic=monotonic,
            **options,
        )

    def _saved(self) -> None:
        self.ledger.all_originals()  # as the daemon: under a lock that was kept, this would never come back
        self.saves += 1

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot.of(self.policy, self.state)

    # kubelet and the runtime

    def pod(
        self,
        name: str,
        qos: str = "",
        kube: str = "Burstable",
        annotations: Mapping[str, str] | None = None,
        reported: Resources | None = None,
        requests: Mapping[str, str] | None = None,
        parent: str | None = None,
        sandbox: bool = True,
        **has: int,
    ) -> Pod:
        """A pod as kubelet sets it up. `has`: cpu_quota and memory_limit of its cgroup; `reported`: what NRI says of them, else the same.

        requests   container → memory request, of a pod whose spec is known
        sandbox    whether the runtime runs a pause container
        """
        parent = f"{PARENTS[kube]}/{name}" if parent is None else parent
        pod = pod_of(qos, parent, annotations, name=name)
        pod.resources = reported or Resources(**has)
        if requests is not None:
            pod.spec = PodSpec({c: ContainerSpec({"memory": amount}, {}) for c, amount in requests.items()})
        self.kernel.cgroups[parent.strip("/")] = self._cgroup(has)
        if sandbox:
            self._make(sandbox_of(pod), {})
        self.ledger.remember_pod(pod)
        return pod

    def report_again(self, pod: Pod, annotations: Mapping[str, str]) -> None:
        """The runtime reports the pod with other annotations."""
        self.ledger.remember_pod(replace(pod, annotations=annotations, parsed={}))

    def container(self, pod: Pod, name: str = "main", **asked: Any) -> str:
        """A container that is decided and created; its cgroup has what the runtime writes then. Returns its cgroup."""
        baseline = Resources(**{"cpu_shares": 512, "cpu_period": 100_000} | asked)
        container = Container(f"{pod.name}-{name}", name, pod.id, baseline)
        decision = self._events.decide_container(pod, container, Event.CREATE, self.snapshot)
        self.ledger.remember(Entry(container.id, name, pod.id, baseline), decision, None)
        has = {name: getattr(baseline, name) for name in baseline.__struct_fields__}
        for s in decision.settings.values():
            if s.route == "adjust":
                attribute = s.field.name.replace(".", "_").replace("cpu_cpus", "cpus")
                has[attribute] = s.value if not s.field.keyed else {**has.get(attribute, {}), s.key: s.value}
        return self._make(place_of(pod, container.id), has)

    def _make(self, directory: str, has: Mapping[str, Any]) -> str:
        self.kernel.cgroups[directory] = self._cgroup(has)
        if self.crun and directory.endswith(".scope"):
            self.kernel.cgroups[f"{directory}/container"] = self._cgroup(has)
        return directory

    def _cgroup(self, has: Mapping[str, Any]) -> Cgroup:
        c = Cgroup(cpus=self.kernel.online if self.kernel.version == 1 else None)
        quota, limit = has.get("cpu_quota") or UNLIMITED, has.get("memory_limit") or UNLIMITED
        c.quota = quota if quota > 0 else None
        c.limit = c.swap = limit if limit > 0 else NO_LIMIT
        c.shares = has.get("cpu_shares") or 1024
        c.weight = shares_to_weight(c.shares) if has.get("cpu_shares") else 100
        if has.get("cpus"):
            c.cpus = frozenset(CPUSet.parse(has["cpus"]))
        c.min, c.low = (has.get(name, 0) // PAGE * PAGE for name in ("memory_min", "memory_low"))
        high = has.get("memory_high", UNLIMITED)
        c.high = high // PAGE * PAGE if high > 0 else NO_LIMIT
        if "oom_score_adj" in has:
            c.numbers["processes/oom_score_adj"] = has["oom_score_adj"]
        for device, limits in has.get("io_max", {}).items():
            reported = (word.split("=") for word in limits.split())
            c.io_max[DISKS[device]] = {key: int(limit) for key, limit in reported if limit != "max"}
        c.io_weight |= {DISKS[device]: weight for device, weight in has.get("io_weight", {}).items()}
        return c

    # the daemon

    def set_policy(self, **sections: Any) -> None:
        """Keys with `_` for `-`; a section is its cluster strategy."""
        self.policy = policy_of(**sections)

    def run_pass(self, trigger: str = "change") -> list[Outcome]:
        """One pass over everything."""
        return [done.outcome for done in self.reconciler.reconcile(trigger, self.ledger.pods())]

    def tried_again(self) -> set[str]:
        """Ids of pods that a later pass is to look at again."""
        return {pod_id for _, pod_id in self.reconciler._schedule._later}

    def restarted(self, lost: bool = False, **options: Any) -> FakeNode:
        """The same node with a new daemon that knows what the state directory has, and hears by Synchronize what runs.

        lost   the state directory is empty
        """
        state = {} if lost else json.loads(json.dumps(self.ledger.all_originals()))
        new = FakeNode(self.kernel.version, self.kernel, state, self._hooks, **options)
        new.policy, new.state = self.policy, self.state
        for pod in self.ledger.pods():
            new.ledger.remember_pod(replace(pod, parsed={}))
            for old in self.ledger.containers_of(pod.id):
                container = Container(old.id, old.name, pod.id, old.baseline)
                decision = new._events.decide_container(pod, container, Event.SYNC, new.snapshot)
                new.ledger.remember(Entry(old.id, old.name, pod.id, old.baseline), decision, None)
        return new

    # what is there

    def files(self) -> dict[str, str]:
        """Path below the cgroup root → text of every file that is looked at."""
        top = f"{ROOT}/sys/fs/cgroup" + ("/cpu" if self.kernel.version == 1 else "")
        return {
            f"{path}/{name}": "\n".join(sorted(self.kernel.read(f"{top}/{path}/{name}").splitlines()))
            for path in self.kernel.cgroups
            for name in FILES[self.kernel.version]
        }

    def warnings(self) -> list[dict[str, Any]]:
        """Key values of the warnings that were logged, in order."""
        calls = [call for call in self.log.calls if call.method_name == "warning"]
        assert all(call.args == ("apply_failed",) for call in calls)
        return [call.kwargs for call in calls]


def undone(node: FakeNode) -> dict[str, int]:
    """Field → files that somebody had changed and that were healed, whoever it was."""
    found: Counter[str] = Counter()
    for (field, _), count in node.reconciler.undone.counts.items():
        found[field] += count
    return found


def statuses(outcomes: Iterable[Outcome]) -> set[Status]:
    """Every status that occurs."""
    return {outcome.status for outcome in outcomes}


def busy_node(version: int, policy: Mapping[str, Any] = MappingProxyType({})) -> FakeNode:
    """One pod of every kind that a hook has a say in, created under this policy."""
    node = FakeNode(version)
    node.set_policy(**policy)
    pinned = node.pod("pinned", "LSR", "Guaranteed", pinned_to("2,3"), cpu_quota=200_000, memory_limit=64 * MIB)
    node.container(pinned, cpu_quota=200_000, memory_limit=64 * MIB)
    batch = node.pod("batch", "BE", "BestEffort", batch_of(main=(500, 96), side=(250, 32)))
    node.container(batch, "main")
    node.container(batch, "side")
    plain = node.pod("plain", "", requests={"main": "16Mi", "side": "8Mi"}, cpu_quota=75_000, memory_limit=64 * MIB)
    node.container(plain, "main", cpu_quota=50_000, memory_limit=48 * MIB)
    node.container(plain, "side", cpu_quota=25_000, memory_limit=16 * MIB)
    shared = node.pod("shared", "LS", requests={"main": "16Mi"}, cpu_quota=100_000)
    node.container(shared, cpu_quota=100_000)
    free = node.pod("free", "LS", reported=Resources(cpu_quota=50_000))
    node.container(free, "limited", cpu_quota=50_000)
    node.container(free, "unlimited")
    return node


def quotas_of(node: FakeNode) -> dict[str, int | None]:
    """Cgroup, by its last name, → quota in µs, for those that have one."""
    return {path.rpartition("/")[2]: c.quota for path, c in node.kernel.cgroups.items() if c.quota is not None}


OFF = {"koordnri_config": {"clusterStrategy": {"hooks": {"cfs_quota": {"mode": "off"}}}}}


def be_disks(*devices: str, bps: int = 1024, weight: int | None = None) -> dict[str, Any]:
    """A policy that limits what BE reads from these disks."""
    config = {"readBPS": bps} | ({} if weight is None else {"ioWeightPercent": weight})
    blocks = [{"name": device, "ioCfg": config} for device in devices]
    return {"resource_qos_config": {"clusterStrategy": {"beClass": {"blkioQOS": {"enable": True, "blocks": blocks}}}}}


def ls_memory(**percents: int) -> dict[str, Any]:
    """A policy of memory QoS for LS."""
    return {"resource_qos_config": {"clusterStrategy": {"lsClass": {"memoryQOS": {"enable": True, **percents}}}}}


class Counting(Hook):
    """Counts how often it is asked."""

    name, order, owns = "counting", 99, ()

    def __init__(self) -> None:
        self.asked = 0

    def decide(self, ctx: ContainerContext) -> None:
        self.asked += 1
