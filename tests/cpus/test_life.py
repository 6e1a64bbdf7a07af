"""Exclusive CPUs from birth to end, as a real kubelet lets pods live: sandboxes that are stopped and stay, second sandboxes, init
containers, resizes, restarts of ours.

The wired daemon without its threads, on a tree of plain files: its events are handled here one by one, its passes are run here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from koordnri.daemon.config import Config
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.wiring import Given
from koordnri.model import CPUSet
from koordnri.model.pod import SOURCE_KEY, ContainerSpec, PodSpec
from koordnri.model.topology import Topology
from koordnri.policy import load_policy
from koordnri.runtime.kernel_limits import KernelLimits
from koordnri.runtime.oci import apply_adjustment, apply_update
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from tests.daemon.sent_events import SentEvents
from tests.host.trees import CPU_FILES, CPUSET_FILES, HostTree
from tests.support import messages

FILES = (*CPU_FILES, *CPUSET_FILES)
SHARES, QUOTA, PERIOD = 1024, 100_000, 100_000


def spec(
    init: tuple[str, ...] = (), sidecars: tuple[str, ...] = (), main: tuple[str, ...] = ("main",), **more: Any
) -> PodSpec:
    """All of them have a CPU limit of their own."""
    own = {"cpu": "1"}
    containers = {name: ContainerSpec(own, own, init=True) for name in init}
    containers |= {name: ContainerSpec(own, own, sidecar=True) for name in sidecars}
    return PodSpec(containers | {name: ContainerSpec(own, own) for name in main}, **more)


class Node:
    """8 CPUs of 4 cores, a runtime's memory, and a daemon."""

    def __init__(self, root: Path, cpuset: str = "", cpu_manager: str = "none") -> None:
        self.root = root
        tree = HostTree(root / "host").cpus(Topology.regular(1, 1, 4, 2)).cpu_manager(cpu_manager)
        self.tree = tree.cgroup_v2(cgroups={"kubepods": FILES})
        self.cgroups = tree.root / "sys/fs/cgroup"
        self.cpuset = cpuset
        self.specs: dict[str, PodSpec] = {}
        self.pods: dict[str, api.PodSandbox] = {}
        self.containers: dict[str, api.Container] = {}
        self.started()

    def started(self, state: str = "state") -> None:
        """A daemon that knows nothing but its state directory, and what runs."""
        config = Config(state_dir=self.root / state, host_root=self.tree.root, listen=None, node_name="n")
        self.events: list[tuple[str, str, str]] = []
        self.daemon = Daemon(config, Given(specs=self.specs, events=SentEvents(self.events, announced=True)))
        text = f"koordnri-config: {{hooks: {{cpuset: {{{self.cpuset}}}}}}}"
        self.daemon.parts.standing.document = load_policy(text, "a test")
        self.daemon.parts.requests.wait_done = lambda number, timeout_s: (
            False
        )  # nobody runs the passes while a start waits
        self.daemon.parts.present.scan(full=True)
        self.daemon.parts.present.take()
        self.synchronize()
        self.passes()

    # what the runtime does

    def run_pod(self, uid: str, sandbox: str = "", qos: str = "LSR", known: PodSpec | None = None, **notes: str) -> str:
        """A sandbox of a pod; its id."""
        sandbox = sandbox or f"s-{uid}"
        pod = messages.pod(sandbox, qos, f"/kubepods/pod{uid}", uid=uid, name=uid, annotations=notes)
        if known is not None:
            self.specs[uid] = known
        self.pods[sandbox] = pod
        self._cgroup(f"kubepods/pod{uid}")
        self._cgroup(f"kubepods/pod{uid}/{sandbox}")
        self._handle("RunPodSandbox", api.RunPodSandboxRequest(pod=pod))
        return sandbox

    def create(self, sandbox: str, cpus: float, name: str = "main", attempt: int = 0) -> str:
        """A running container; its id."""
        pod = self.pods[sandbox]
        container_id = f"{sandbox}.{name}.{attempt}"
        container = messages.container(container_id, sandbox, name=name, state=api.CONTAINER_RUNNING)
        container.linux.resources.cpu.CopyFrom(asked(cpus))
        reply = self._handle("CreateContainer", api.CreateContainerRequest(pod=pod, container=container))
        apply_adjustment(container, reply.adjust, KernelLimits())
        self.containers[container_id] = container
        self._cgroup(self._directory(container_id))
        self._write(container_id, container.linux.resources.cpu.cpus)
        self._handle("StateChange", api.StateChangeEvent(event=6, pod=pod, container=container))
        return container_id

    def resize(self, container_id: str, cpus: float) -> None:
        container = self.containers[container_id]
        reported = api.LinuxResources(cpu=asked(cpus))
        request = api.UpdateContainerRequest(
            pod=self.pods[container.pod_sandbox_id], container=container, linux_resources=reported
        )
        reply = self._handle("UpdateContainer", request)
        apply_update(container, reported)
        for update in reply.update:
            apply_update(self.containers[update.container_id], update.linux.resources)
            self._write(update.container_id, self.containers[update.container_id].linux.resources.cpu.cpus)

    def end(self, container_id: str) -> None:
        """It ends by itself; kubelet removes it later."""
        container = self.containers[container_id]
        container.state = api.CONTAINER_STOPPED
        shutil.rmtree(self.cgroups / self._directory(container_id))
        pod = self.pods[container.pod_sandbox_id]
        self._handle("StopContainer", api.StopContainerRequest(pod=pod, container=container))

    def stop_pod(self, sandbox: str) -> None:
        """kubelet stops the sandbox at once, and removes it late: it stays."""
        for container in self.containers.values():
            if container.pod_sandbox_id == sandbox and container.state == api.CONTAINER_RUNNING:
                self.end(container.id)
        pod = self.pods[sandbox]
        shutil.rmtree(self.cgroups / f"kubepods/pod{pod.uid}/{sandbox}")
        self._handle("StateChange", api.StateChangeEvent(event=2, pod=pod))

    def synchronize(self) -> None:
        message = api.SynchronizeRequest(pods=self.pods.values(), containers=self.containers.values())
        seen = views.SynchronizeRequest.FromString(message.SerializeToString())
        answer = self.daemon.parts.handler.synchronize(seen.pods, seen.containers)
        assert answer.settle is not None
        answer.settle()
        for update in answer.message.update:
            apply_update(self.containers[update.container_id], update.linux.resources)
            self._write(update.container_id, self.containers[update.container_id].linux.resources.cpu.cpus)

    def passes(self, count: int = 3) -> None:
        """What the reconcile thread does once something has changed."""
        for _ in range(count):
            self.daemon.parts.reconciler.reconcile("change", self.daemon.parts.ledger.pods())

    # what there is

    def cpus(self, container_id: str) -> str:
        """The CPUs on which a container runs."""
        return (self.cgroups / self._directory(container_id) / "cpuset.cpus").read_text().strip() or "0-7"

    @property
    def pool(self) -> str:
        """The CPUs of all who share."""
        pools = self.daemon.parts.present.up_to_date().node.ls_pools
        return str(CPUSet(cpu for pool in pools for cpu in CPUSet.parse(pool.cpus))) or "0-7"

    def reasons(self, name: str) -> list[str]:
        return [reason for pod, reason, _ in self.events if pod == name]

    def _directory(self, container_id: str) -> str:
        sandbox = self.containers[container_id].pod_sandbox_id
        return f"kubepods/pod{self.pods[sandbox].uid}/{container_id}"

    def _cgroup(self, directory: str) -> None:
        for name in FILES:
            if not (self.cgroups / directory / name).exists():
                self.tree.write(f"sys/fs/cgroup/{directory}/{name}", {"cpu.max": "max 100000\n"}.get(name, "\n"))

    def _write(self, container_id: str, cpus: str) -> None:
        (self.cgroups / self._directory(container_id) / "cpuset.cpus").write_text(cpus + "\n")

    def _handle(self, method: str, request: Any) -> Any:
        answer = self.daemon.parts.handler.handle(method, request.SerializeToString())
        if answer.settle is not None:
            answer.settle()
        return answer.message


def asked(cpus: float) -> api.LinuxCPU:
    """What kubelet asks for a container whose request and limit are so many CPUs."""
    reported = api.LinuxCPU()
    reported.shares.value, reported.quota.value, reported.period.value = int(cpus * SHARES), int(cpus * QUOTA), PERIOD
    return reported


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Node]:
    return lambda cpuset: Node(tmp_path, cpuset)


# -- ends -------------------------------------------------------------------------------------------------------------


def test_what_a_stopped_pod_had_is_free_at_once_though_its_sandbox_stays(node: Node) -> None:
    """A StatefulSet's pod is made again seconds before the old one's sandbox goes."""
    old = node.run_pod("old")
    assert node.cpus(node.create(old, 6)) == "0-2,4-6"
    node.stop_pod(old)
    assert node.pool == "0-7"
    assert node.cpus(node.create(node.run_pod("new"), 6)) == "0-2,4-6"


def test_a_finished_job_holds_nothing_after_a_restart_either(node: Node) -> None:
    job = node.run_pod("job")
    node.create(job, 6)
    node.stop_pod(job)
    node.started()
    assert node.pool == "0-7"
    assert node.cpus(node.create(node.run_pod("next"), 6)) == "0-2,4-6"


def test_a_pod_that_has_ended_as_the_api_server_says_holds_nothing_once_nothing_of_it_runs(node: Node) -> None:
    job = node.run_pod("job")
    work = node.create(job, 6)
    node.daemon.parts.changes.on_end("job")
    assert node.pool == "3,7", "its process still runs"
    node.end(work)
    assert node.pool == "0-7"


def test_the_same_where_the_runtime_reported_first(node: Node) -> None:
    work = node.create(node.run_pod("job"), 6)
    node.end(work)
    assert node.pool == "3,7", "kubelet may make it again"
    node.daemon.parts.changes.on_end("job")
    assert node.pool == "0-7"


def test_a_container_that_crashes_keeps_its_set(node: Node) -> None:
    sandbox = node.run_pod("p")
    first = node.create(sandbox, 2)
    other = node.create(node.run_pod("q"), 2)
    node.end(first)
    assert node.cpus(node.create(sandbox, 2, attempt=1)) == "0,4"
    assert node.cpus(other) == "1,5"


def test_a_second_sandbox_of_the_pod_finds_its_former_set(node: Node) -> None:
    first = node.run_pod("p")
    node.create(node.run_pod("other"), 2)
    node.create(first, 2)
    node.stop_pod(first)
    assert node.pool == "1-3,5-7"
    second = node.run_pod("p", "s-again")
    assert node.cpus(node.create(second, 2)) == "1,5"


def test_also_while_the_first_one_is_still_there(node: Node) -> None:
    first = node.run_pod("p")
    node.create(first, 2)
    second = node.run_pod("p", "s-again")
    again = node.create(second, 2)
    node.stop_pod(first)
    assert node.cpus(again) == "0,4"
    assert node.pool == "1-3,5-7", "the pod goes on"
    node.stop_pod(second)
    assert node.pool == "0-7"


def test_or_any_when_another_has_it_by_now(node: Node) -> None:
    first = node.run_pod("p")
    node.create(first, 2)
    node.stop_pod(first)
    node.create(node.run_pod("thief"), 2)
    assert node.cpus(node.create(node.run_pod("p", "s-again"), 2)) == "1,5"


# -- init containers --------------------------------------------------------------------------------------------------


def test_an_init_containers_cpus_are_used_again_and_what_is_left_over_is_free(node: Node) -> None:
    sandbox = node.run_pod("p", known=spec(init=("migrate",), main=("app",)))
    migrate = node.create(sandbox, 6, "migrate")
    assert node.cpus(migrate) == "0-2,4-6"
    node.end(migrate)
    assert node.pool == "3,7", "the pod is to use them again"
    app = node.create(sandbox, 4, "app")
    assert CPUSet.parse(node.cpus(app)) <= CPUSet.parse("0-2,4-6")
    assert len(CPUSet.parse(node.pool)) == 4


def test_without_its_spec_too(node: Node) -> None:
    sandbox = node.run_pod("p")
    node.end(node.create(sandbox, 6, "migrate"))
    assert len(CPUSet.parse(node.cpus(node.create(sandbox, 4, "app")))) == 4


def test_a_sidecar_has_its_own_beside_the_others(node: Node) -> None:
    sandbox = node.run_pod("p", known=spec(init=("setup",), sidecars=("proxy",), main=("app",)))
    proxy = node.create(sandbox, 1, "proxy")
    setup = node.create(sandbox, 2, "setup")
    node.end(setup)
    app = node.create(sandbox, 2, "app")
    sets = [CPUSet.parse(node.cpus(c)) for c in (proxy, app)]
    assert not sets[0] & sets[1]
    assert len(CPUSet.parse(node.pool)) == 5


# -- resize -----------------------------------------------------------------------------------------------------------


def test_what_is_too_much_after_a_resize_is_given_back_in_the_reply(node: Node) -> None:
    sharer = node.create(node.run_pod("ls", qos="LS"), 0.5)
    owner = node.create(node.run_pod("p"), 4)
    node.resize(owner, 2)
    assert node.cpus(owner) == "0,4"
    node.passes()
    assert node.cpus(sharer) == "1-3,5-7"


def test_a_container_that_grows_gets_more_next_to_what_it_has_once_the_others_have_left(node: Node) -> None:
    sharer = node.create(node.run_pod("ls", qos="LS"), 0.5)
    owner = node.create(node.run_pod("p"), 1)
    node.resize(owner, 2)
    assert node.cpus(owner) == "0", "others still run on what it will have"
    node.passes()
    assert (node.cpus(owner), node.cpus(sharer)) == ("0,4", "1-3,5-7")
    assert node.reasons("p") == ["ExclusiveCPUs", "ExclusiveCPUs"]


def test_or_keeps_what_it_has_and_its_owner_is_informed(node: Node) -> None:
    owner = node.create(node.run_pod("p"), 4)
    node.resize(owner, 8)
    node.passes()
    assert node.cpus(owner) == "0-1,4-5"
    assert node.reasons("p") == ["ExclusiveCPUs", "NoExclusiveCPUs"]
    assert "keeps 0-1,4-5, though it wants 8 exclusive CPUs" in node.events[-1][2]


def test_what_a_scheduler_assigned_does_not_follow_and_its_owner_is_informed(node: Node) -> None:
    assigned = {"scheduling.koordinator.sh/resource-status": '{"cpuset": "2-3"}', SOURCE_KEY: "file"}
    pinned = node.create(node.run_pod("p", **assigned), 2)
    node.resize(pinned, 2)
    assert node.reasons("p") == []
    node.resize(pinned, 4)
    assert node.cpus(pinned) == "2-3"
    assert node.reasons("p") == ["ResizeIgnored"]
    node.resize(pinned, 4)
    assert node.reasons("p") == ["ResizeIgnored"], "kubelet may ask twice"


def of_koordinator(cpus: int) -> PodSpec:
    return PodSpec({"main": ContainerSpec({"cpu": cpus}, {"cpu": cpus})}, scheduler_name="koord-scheduler")


def test_who_names_another_pods_cpus_shares_until_they_are_free_also_across_a_restart(node: Node) -> None:
    assigned = {"scheduling.koordinator.sh/resource-status": '{"cpuset": "2-3"}'}
    victim = node.create(node.run_pod("victim", known=of_koordinator(2), **assigned), 2)
    thief = node.create(node.run_pod("a-thief", known=of_koordinator(2), **assigned), 2)
    assert (node.cpus(victim), node.cpus(thief)) == ("2-3", "0-1,4-7")
    assert node.reasons("a-thief") == ["NotEntitled"]
    node.pods = dict(sorted(node.pods.items()))  # the runtime has no order
    node.started()
    assert (node.cpus(victim), node.cpus(thief)) == ("2-3", "0-1,4-7")
    node.stop_pod("s-victim")
    node.passes()
    assert node.cpus(thief) == "2-3"


@pytest.mark.parametrize("cpus", [1.5, 0.5])
def test_what_is_no_owners_size_any_more_shares_with_its_quota(node: Node, cpus: float) -> None:
    sharer = node.create(node.run_pod("ls", qos="LS"), 0.5)
    owner = node.create(node.run_pod("p"), 2)
    node.resize(owner, cpus)
    node.passes()
    assert (node.cpus(owner), node.cpus(sharer)) == ("0-7", "0-7")
    assert node.containers[owner].linux.resources.cpu.quota.value == int(cpus * QUOTA)


def test_a_sharer_that_is_resized_into_an_owner_is_promoted(node: Node) -> None:
    sharer = node.create(node.run_pod("ls", qos="LS"), 0.5)
    one = node.create(node.run_pod("p"), 1.5)
    assert node.reasons("p") == ["SharesCPUs"]
    node.resize(one, 2)
    node.passes()
    assert (node.cpus(one), node.cpus(sharer)) == ("0,4", "1-3,5-7")


# -- promotion --------------------------------------------------------------------------------------------------------


def test_who_had_to_share_is_promoted_as_soon_as_there_are_cpus(node: Node) -> None:
    big = node.run_pod("big")
    node.create(big, 6)
    late = node.create(node.run_pod("late"), 4)
    assert node.cpus(late) == "3,7"
    assert node.reasons("late") == ["NoExclusiveCPUs"]
    node.stop_pod(big)
    node.passes()
    assert node.cpus(late) == "0-1,4-5"
    assert node.reasons("late") == ["NoExclusiveCPUs", "ExclusiveCPUs"]


def test_while_the_others_are_leaving_it_is_not_there_yet(node: Node) -> None:
    big = node.run_pod("big")
    node.create(big, 6)
    late = node.create(node.run_pod("late"), 4)
    node.stop_pod(big)
    node.passes(1)
    assert node.cpus(late) == "2-3,6-7", "it shares what is left beside its own"
    node.passes(1)
    assert node.cpus(late) == "0-1,4-5"


def test_or_is_not_where_the_policy_says_so(made: Callable[[str], Node]) -> None:
    node = made("promote: false")
    big = node.run_pod("big")
    node.create(big, 6)
    late = node.create(node.run_pod("late"), 4)
    node.stop_pod(big)
    node.passes()
    assert node.cpus(late) == "0-7"


def test_who_was_born_while_we_were_away_is_promoted(node: Node) -> None:
    sandbox = node.run_pod("p")
    container = messages.container("c", sandbox, name="main", state=api.CONTAINER_RUNNING)
    container.linux.resources.cpu.CopyFrom(asked(2))
    node.containers["c"] = container
    node._cgroup("kubepods/podp/c")
    node.started()
    assert node.cpus("c") == "0,4"


# -- restart ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["state", "lost"])
def test_a_restart_finds_the_same_map_also_of_what_was_promoted_and_resized(node: Node, state: str) -> None:
    sharers = [node.create(node.run_pod(name, qos="LS"), 0.5) for name in ("ls", "ls2")]
    big = node.run_pod("big")
    node.create(big, 4)
    late = node.create(node.run_pod("late"), 3)
    grown = node.create(node.run_pod("grown"), 1)
    node.stop_pod(big)
    node.passes()
    node.resize(grown, 2)
    node.passes()
    before = {c: node.cpus(c) for c in (late, grown, *sharers)}
    assert len(CPUSet.parse(before[late])) == 3
    assert len(CPUSet.parse(before[grown])) == 2
    held = node.daemon.parts.allocator.held
    node.daemon.parts.notebook.save()
    node.started(state)
    assert node.daemon.parts.allocator.held == held
    assert {c: node.cpus(c) for c in before} == before


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_the_last_core_stays_shared(node: Node) -> None:
    assert node.cpus(node.create(node.run_pod("p"), 6)) == "0-2,4-6"
    assert node.cpus(node.create(node.run_pod("q"), 1)) == "3,7"
    assert node.pool == "3,7"


def test_or_as_many_as_the_policy_says(made: Callable[[str], Node]) -> None:
    node = made("minSharedCPUs: 1")
    node.create(node.run_pod("p"), 6)
    assert node.cpus(node.create(node.run_pod("q"), 1)) == "3"
    assert node.pool == "7"


def test_all_that_is_given_lies_within_the_cgroup_of_all_pods(node: Node) -> None:
    node.tree.write("sys/fs/cgroup/kubepods/cpuset.cpus.effective", "0-1,4-5\n")
    node.daemon.parts.present.scan(full=False)
    node.daemon.parts.present.take()
    assert node.cpus(node.create(node.run_pod("p"), 2)) == "0,4"
    shares = node.create(node.run_pod("q"), 2)
    assert node.cpus(shares) == "1,5"
    assert node.reasons("q") == ["NoExclusiveCPUs"]


def narrow(node: Node, cpus: str) -> None:
    """The daemon notices at its next look, and a pass follows."""
    node.tree.write("sys/fs/cgroup/kubepods/cpuset.cpus.effective", f"{cpus}\n")
    node.daemon.parts.present.scan(full=False)
    node.daemon.parts.present.take()
    node.passes()


def test_an_owner_gets_others_for_cpus_that_the_cgroup_of_all_pods_has_lost(node: Node) -> None:
    sharer, owner = node.create(node.run_pod("ls", qos="LS"), 0.5), node.create(node.run_pod("p"), 2)
    assert node.cpus(owner) == "0,4"
    narrow(node, "1-7")
    assert (node.cpus(owner), node.cpus(sharer)) == ("1,4", "2-3,5-7")
    narrow(node, "0-7")
    assert (node.cpus(owner), node.cpus(sharer)) == ("1,4", "0,2-3,5-7"), "nobody moves when it is wide again"


def test_or_has_fewer_and_its_owner_is_informed_until_they_are_back(node: Node) -> None:
    owner = node.create(node.run_pod("p"), 2)
    narrow(node, "2-4")
    assert node.cpus(owner) == "4", "the others keep two"
    assert node.reasons("p") == ["ExclusiveCPUs", "NoExclusiveCPUs"]
    assert "keeps 4, though it wants 2 exclusive CPUs" in node.events[-1][2]
    assert "p" in node.daemon.parts.present.snapshot.node.no_exclusive_cpus
    narrow(node, "0-7")
    assert node.cpus(owner) == "0,4"
    assert not node.daemon.parts.present.snapshot.node.no_exclusive_cpus


def test_a_pod_never_gets_more_than_it_requests_as_a_whole(node: Node) -> None:
    known = spec(main=("a", "b"), requests={"cpu": "3"}, limits={"cpu": "3"})
    sandbox = node.run_pod("p", known=known)
    first, second = node.create(sandbox, 2, "a"), node.create(sandbox, 2, "b")
    assert node.cpus(first) == "0,4"
    assert node.cpus(second) == "1-3,5-7"
    assert "its pod requests 3 in all, of which its other containers have 2" in node.events[-1][2]


def test_a_container_without_a_limit_of_its_own_is_no_owner_whatever_kubelet_asks_for_it(node: Node) -> None:
    known = PodSpec({"main": ContainerSpec({"cpu": "2"}, {})}, requests={"cpu": "2"}, limits={"cpu": "2"})
    assert node.cpus(node.create(node.run_pod("p", known=known), 2)) == "0-7"
    assert node.events == [
        ("p", "SharesCPUs", "container main shares CPUs: it has no CPU limit of its own, only its pod has")
    ]


def test_a_pod_may_name_its_owners(node: Node) -> None:
    sandbox = node.run_pod("p", **{"koordnri.sh/exclusive-cpus": '["main"]'})
    assert node.cpus(node.create(sandbox, 1, "side")) == "0-7"
    assert node.cpus(node.create(sandbox, 1, "main")) == "0"


def test_a_scheduler_that_assigns_cpus_later_is_believed_and_what_we_gave_is_free(node: Node) -> None:
    own = node.create(node.run_pod("p"), 2)
    pod = node.daemon.parts.ledger.pods()[0]
    pod.annotations = {"scheduling.koordinator.sh/resource-status": '{"cpuset": "6-7"}'}
    pod.parsed = {}
    node.daemon.parts.changes.on_pod(pod.id)
    node.passes()
    assert (node.cpus(own), node.pool) == ("6-7", "0-5")


def test_where_kubelet_gives_cpus_itself_only_who_gets_none_of_them_is_informed(tmp_path: Path) -> None:
    node = Node(tmp_path, cpu_manager="static")
    pinned = asked(2)
    pinned.cpus = "0,4"
    sandbox = node.run_pod("p")
    request = api.CreateContainerRequest(pod=node.pods[sandbox], container=api.Container(id="c", name="main"))
    request.container.pod_sandbox_id = sandbox
    request.container.linux.resources.cpu.CopyFrom(pinned)
    node._handle("CreateContainer", request)
    node.create(node.run_pod("q"), 1.5)
    assert (node.reasons("p"), node.reasons("q")) == ([], ["SharesCPUs"])


def test_a_bug_in_choosing_costs_the_container_its_exclusive_cpus_and_it_shares(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.create(node.run_pod("p"), 2)

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(node.daemon.parts.allocator, "give", broken)
    assert node.cpus(node.create(node.run_pod("q"), 2)) == "1-3,5-7"
    assert node.daemon.parts.faults.counts["cpus"] == 1
    monkeypatch.setattr(node.daemon.parts.allocator, "resize", broken)
    node.resize("s-p.main.0", 4)
    assert node.cpus("s-p.main.0") == "0,4"
    assert node.daemon.parts.faults.counts["cpus"] == 2
