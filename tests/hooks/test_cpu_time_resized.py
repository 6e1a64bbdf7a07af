"""Whatever kubelet resizes, policies change and daemons restart: what a container has is its limit, scaled once.

Koordlet scales what the runtime has stored, which carries its own scaling already. Here the daemon's own parts run against a runtime
that stores what it is sent, and a kernel that refuses what the kernel refuses.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import CapturingLogger

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.model import NodeState
from koordnri.model.node import MAINLINE_V2_FILES
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.reconcile.reconciler import Reconciler
from koordnri.reconcile.requests import Requests
from koordnri.runtime.kernel_limits import KernelLimits
from koordnri.runtime.oci import apply_adjustment, apply_update
from koordnri.session.handler import EventHandler
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.state.ledger import Ledger
from koordnri.state.world import World
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from koordnri.wire.versions import Version
from tests.examples import examples
from tests.host.fake_kernel import ROOT, Cgroup, FakeKernel
from tests.reconcile.fake_node import FakeMachine, FakeReports
from tests.support import messages
from tests.support.policies import policy_of

POD, CONTAINER = "kubepods/burstable/poduid-p1", "kubepods/burstable/poduid-p1/c1"
PERIOD_US = 100_000
HOOKS = load_hooks()


class Silent:
    """Hears of decisions."""

    def decided(self, *_: Any) -> None:
        pass

    def refused(self, *_: Any) -> None:
        pass

    def never_started(self, *_: Any) -> None:
        pass


class Machine:
    """One LS pod with one container on one node: kubelet, runtime and kernel go on while the daemon comes and goes.

    knows_spec   whether the API server informs the daemon of a resize before kubelet begins with it
    """

    def __init__(self, version: int, burst: bool, knows_spec: bool, limit_us: int) -> None:
        self.kernel = FakeKernel(version, ("kubepods", "kubepods/burstable", POD))
        self.version, self.knows_spec = version, knows_spec
        files = MAINLINE_V2_FILES if version == 2 else frozenset({"cpu/cpu.cfs_burst_us", "cpu/cpu.idle"})
        self.node = NodeState(cgroup_version=version, cgroup_files=files)
        self.policy = policy_of(**({"cpu_burst_config": {"clusterStrategy": {"policy": "auto"}}} if burst else {}))
        self.limit_us = limit_us
        self.refused = 0
        self.pod = messages.pod(qos="LS", parent=f"/{POD}")
        self.spec = messages.container(name="main")
        self.start_daemon(Ledger())
        self._kubelet_writes_pod(limit_us)
        self.send_spec(limit_us)
        self.synchronize()
        self._create()
        self.reconcile()

    # the daemon

    def start_daemon(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.specs: dict[str, PodSpec] = {}
        snapshot = Snapshot.of(self.policy, self.node)
        self.handler = EventHandler(Chain(HOOKS), ledger, snapshot, Silent(), self.specs)
        self.handler.runtime = RuntimeInfo("containerd", "v2.3.0", Version(0, 12, 0))
        self.reconciler = Reconciler(
            Chain(HOOKS),
            ledger,
            FakeMachine(lambda: World(self.handler.snapshot, "containerd"), self.kernel),
            Requests(ledger),
            FakeReports(ledger),
            CapturingLogger(),
        )

    def restart(self) -> None:
        """Killed and started again on its state directory."""
        self.start_daemon(Ledger(self.ledger.notes(), originals=self.ledger.all_originals()))
        self.send_spec(self.limit_us)
        self.synchronize()

    def set_ratio(self, ratio: Fraction | None) -> None:
        self.node = replace(self.node, normalization_ratio=ratio)
        self.handler.snapshot = Snapshot.of(self.policy, self.node)

    def reconcile(self, trigger: str = "change") -> None:
        self.reconciler.reconcile(trigger, self.ledger.pods())

    def send_spec(self, limit_us: int) -> None:
        """The API server's pod; a pod that is known already is reported again, as the watch does."""
        if not self.knows_spec:
            return
        limits = {"cpu": f"{limit_us * 1000 // PERIOD_US}m"} if limit_us > 0 else {}
        spec = self.specs["uid-p1"] = PodSpec({"main": ContainerSpec({}, limits)})
        pod = self.ledger.pod("p1")
        if pod is not None:
            self.ledger.remember_pod(replace(pod, spec=spec))

    def synchronize(self) -> None:
        containers = [self.spec] if self.spec.HasField("linux") else []
        message = api.SynchronizeRequest(pods=[self.pod], containers=containers)
        seen = views.SynchronizeRequest.FromString(message.SerializeToString())
        answer = self.handler.synchronize(seen.pods, seen.containers)
        assert isinstance(answer.message, api.SynchronizeResponse)
        assert answer.settle is not None
        answer.settle()
        for update in answer.message.update:
            self._runc(update.linux.resources)

    # kubelet and the runtime

    def _create(self) -> None:
        self.spec.linux.resources.CopyFrom(_asked(512, self.limit_us))
        request = api.CreateContainerRequest(pod=self.pod, container=self.spec)
        answer = self.handler.handle("CreateContainer", request.SerializeToString())
        assert isinstance(answer.message, api.CreateContainerResponse)
        apply_adjustment(self.spec, answer.message.adjust, KernelLimits())
        if answer.settle is not None:
            answer.settle()
        self.kernel.cgroups[CONTAINER] = Cgroup(cpus=self.kernel.online if self.version == 1 else None)
        assert self._runc(api.LinuxResources())
        started = api.StartContainerRequest(pod=self.pod, container=self.spec)
        settle = self.handler.handle("StartContainer", started.SerializeToString()).settle
        if settle is not None:
            settle()

    def resize(self, limit_us: int) -> None:
        """As kubelet: the spec first, then pod and container, the pod first where it grows. What is refused is tried again."""
        self.send_spec(limit_us)
        self.limit_us = limit_us
        self.reconcile("pod")
        todo = [lambda: self._kubelet_writes_pod(limit_us), lambda: self._update(limit_us)]
        if limit_us > 0 and not 0 < self.kernel.cgroups[POD].quota_or(-1) < limit_us:
            todo.reverse()
        for step in todo:
            for _ in range(3):
                if step():
                    break
                self.refused += 1
                self.reconcile("pod")
            else:
                raise AssertionError("kubelet is refused for ever")
            self.reconcile("pod")

    def _kubelet_writes_pod(self, limit_us: int) -> bool:
        return self._write(POD, limit_us, PERIOD_US)

    def _update(self, limit_us: int) -> bool:
        asked = _asked(0, limit_us)
        request = api.UpdateContainerRequest(pod=self.pod, container=self.spec, linux_resources=asked)
        answer = self.handler.handle("UpdateContainer", request.SerializeToString())
        assert isinstance(answer.message, api.UpdateContainerResponse)
        new = api.LinuxResources()
        new.CopyFrom(asked)
        for update in answer.message.update:
            for name in ("shares", "quota", "period"):
                if update.linux.resources.cpu.HasField(name):
                    getattr(new.cpu, name).value = getattr(update.linux.resources.cpu, name).value
            new.unified.update(update.linux.resources.unified)
        done = self._runc(new)
        if answer.settle is not None:
            answer.settle()
        return done

    def _runc(self, new: api.LinuxResources) -> bool:
        """Writes the whole spec as it would be; where the kernel refuses, the stored one stays as it was."""
        spec = api.Container()
        spec.CopyFrom(self.spec)
        apply_update(spec, new)
        cpu = spec.linux.resources.cpu
        if not self._write(CONTAINER, cpu.quota.value or -1, cpu.period.value or PERIOD_US):
            return False
        for name, text in spec.linux.resources.unified.items():
            self.kernel.write(f"{ROOT}/sys/fs/cgroup/{CONTAINER}/{name}", text)
        self.spec.CopyFrom(spec)
        return True

    def _write(self, cgroup: str, quota_us: int, period_us: int) -> bool:
        try:
            if self.version == 1:
                self.kernel.write(f"{ROOT}/sys/fs/cgroup/cpu/{cgroup}/cpu.cfs_quota_us", str(quota_us))
            else:
                quota = "max" if quota_us < 0 else str(quota_us)
                self.kernel.write(f"{ROOT}/sys/fs/cgroup/{cgroup}/cpu.max", f"{quota} {period_us}")
        except OSError:
            return False
        return True


def _asked(shares: int, quota_us: int) -> api.LinuxResources:
    asked = api.LinuxResources()
    for name, value in (("shares", shares), ("quota", quota_us), ("period", PERIOD_US)):
        getattr(asked.cpu, name).value = value
    return asked


limits = st.sampled_from([-1, 20_000, 50_000, 100_000, 200_000, 400_000])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("resize"), limits),
        st.tuples(st.just("ratio"), st.sampled_from([None, Fraction(1), Fraction("1.2"), Fraction(2), Fraction(5)])),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("pass"), st.sampled_from(["change", "pod", "sweep"])),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=examples(150), deadline=None)
@example([("resize", 50_000), ("ratio", Fraction(6, 5)), ("resize", 20_000), ("restart", None)], 2, False, False, -1)
@example([("resize", 100_000), ("ratio", Fraction(2)), ("resize", 50_000)], 2, False, False, -1)
@given(steps=steps, version=st.sampled_from([1, 2]), burst=st.booleans(), knows_spec=st.booleans(), start=limits)
def test_limits_are_scaled_once_in_any_order_of_resizes_policies_and_restarts(steps, version, burst, knows_spec, start):
    machine = Machine(version, burst, knows_spec, start)
    for what, value in steps:
        match what:
            case "resize":
                machine.resize(value)
            case "ratio":
                machine.set_ratio(value)
            case "restart":
                machine.restart()
            case "pass":
                machine.reconcile(value)
    machine.reconcile("sweep")
    ratio = machine.node.normalization_ratio
    wanted = machine.limit_us
    if wanted > 0 and ratio is not None and ratio > 1:
        wanted = max(-(-wanted * ratio.denominator // ratio.numerator), 1000)
    pod, container = machine.kernel.cgroups[POD], machine.kernel.cgroups[CONTAINER]
    assert (container.quota_or(-1), container.period) == (wanted, PERIOD_US)
    assert container.burst == (wanted if burst and wanted > 0 else 0)
    # On v1 a pod may keep what kubelet gave it, for there a container above its pod does not start.
    assert pod.quota_or(-1) in ((wanted,) if version == 2 else (wanted, machine.limit_us))
    assert pod.period == PERIOD_US
    assert pod.burst == (pod.quota_or(0) if burst else 0)
    if not burst or knows_spec:
        assert machine.refused == 0
