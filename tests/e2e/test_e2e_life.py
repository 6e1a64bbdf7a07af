"""CPUs of a container's own from its birth to its end, with a kubelet that removes late: what its processes may run on.

The owner is the pod's uid and the container's name. All sizes go by the CPUs that there are: two outside, eight in the virtual machine.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.model import CPUSet
from tests.e2e import lab, pods
from tests.e2e.containerd import Containerd
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import UNTIL_STOPPED, Container, Kubelet, Pod
from tests.e2e.pods import MIB, QOS_CLASS, UNLIMITED
from tests.support.waiting import eventually

ALL = CPUSet(os.sched_getaffinity(0))
MANY = len(ALL)
HALF = MANY // 2
CPUSET = "koordnri-config: {{clusterStrategy: {{hooks: {{cpuset: {{{}}}}}}}}}\n"
NONE_KEPT = CPUSET.format("minSharedCPUs: 0")
"""A policy by which owners may have every CPU, for outside there are only two."""
NOT_PROMOTED = CPUSET.format("minSharedCPUs: 0, promote: false")


@pytest.fixture(scope="module")
def shared(runtime: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the whole file, for starting one in the virtual machine takes longer than a test."""
    own = Daemon(runtime.nri_socket, tmp_path_factory.mktemp("daemon"), policy=NONE_KEPT)
    try:
        own.start()
        yield own
    finally:
        own.stop()


@pytest.fixture
def node(shared: Daemon, kubelet: Kubelet) -> Iterator[Daemon]:
    """A node without pods, whose daemon gives all CPUs away. A test may kill it and change its policy."""
    if not shared.running:
        shared.start()
    yield shared
    print(f"--- end of {shared.log}\n{shared.log_tail()}")
    if shared.running and shared.policy_file.read_text() != NONE_KEPT:
        take(shared, NONE_KEPT)


def take(daemon: Daemon, policy: str) -> None:
    """Give the daemon another policy, and wait until it is in force."""
    before = daemon.metric("koordnri_policy_accepted_total")
    daemon.policy_file.write_text(policy)
    eventually(lambda: daemon.metric("koordnri_policy_accepted_total") > before, "the policy to be taken")


def owner_pod(kubelet: Kubelet, cpus: int, qos: str = "LSR", **options: object) -> Pod:
    """A pod whose containers may want so many CPUs together."""
    milli = 1000 * cpus
    sums = {"cpu_request_m": milli, "cpu_limit_m": milli, "memory_limit": 64 * MIB}
    return kubelet.run_pod(qos="Guaranteed", labels={QOS_CLASS: qos}, **sums, **options)  # type: ignore[arg-type]  # passed on


def asks(cpus: float) -> dict[str, int]:
    """Of a Guaranteed container with so many CPUs."""
    milli = int(1000 * cpus)
    return {"cpu_request_m": milli, "cpu_limit_m": milli, "memory_limit": 64 * MIB}


def wants(kubelet: Kubelet, cpus: float = 1, qos: str = "LSR") -> Container:
    """A running LSR or LSE container that is to have so many CPUs, in a pod of its own."""
    return kubelet.run_container(owner_pod(kubelet, max(int(cpus), 1), qos), **asks(cpus))


def eventually_on(kubelet: Kubelet, container: Container, cpus: CPUSet, what: str) -> None:
    eventually(lambda: kubelet.runs_on(container) == cpus, f"{what}: {container.name} to run on {cpus}")


def eventually_owns(kubelet: Kubelet, container: Container, count: int, others: list[Container]) -> CPUSet:
    """Wait until it alone has so many CPUs; returns them."""

    def alone() -> bool:
        own = kubelet.runs_on(container)
        assert len(own) == count, f"it runs on {own}"
        beside = [kubelet.runs_on(other) for other in others]
        assert not any(own & each for each in beside), f"it has {own}, the others have {[str(each) for each in beside]}"
        return True

    eventually(alone, f"{container.name} to have {count} exclusive CPUs")
    return kubelet.runs_on(container)


# births


@pytest.mark.usefixtures("node")
def test_who_gets_cpus_has_them_alone_when_it_starts(kubelet: Kubelet) -> None:
    before = pods.plain(kubelet)

    first = wants(kubelet, HALF)

    own = kubelet.runs_on(first)
    assert len(own) == HALF
    assert kubelet.runs_on(before) == ALL - own, "gone before StartContainer is answered"
    assert kubelet.runs_on(pods.plain(kubelet)) == ALL - own
    assert kubelet.read(first, "cpu.quota") == UNLIMITED


@pytest.mark.usefixtures("node")
def test_an_ended_init_containers_cpus_are_its_pods_again(kubelet: Kubelet) -> None:
    pod = owner_pod(kubelet, MANY)
    init = kubelet.run_container(pod, "init", command=UNTIL_STOPPED, **asks(MANY - 1))
    assert len(kubelet.runs_on(init)) == MANY - 1
    kubelet.finish(init)

    main, side = (kubelet.run_container(pod, name, **asks(HALF)) for name in ("main", "side"))

    # The sum of all three is more than there is.
    assert (len(kubelet.runs_on(main)), len(kubelet.runs_on(side))) == (HALF, HALF)
    assert not kubelet.runs_on(main) & kubelet.runs_on(side)
    kubelet.remove(init)
    assert not kubelet.runs_on(main) & kubelet.runs_on(side)


@pytest.mark.usefixtures("node")
def test_a_sidecar_that_goes_on_keeps_its_cpus_while_init_containers_end(kubelet: Kubelet) -> None:
    pod = owner_pod(kubelet, MANY)
    sidecar = kubelet.run_container(pod, "sidecar", **asks(HALF))
    own = kubelet.runs_on(sidecar)
    init = kubelet.run_container(pod, "init", command=UNTIL_STOPPED, **asks(HALF))
    assert kubelet.runs_on(init) == ALL - own
    kubelet.finish(init)

    main = kubelet.run_container(pod, **asks(HALF))

    assert (kubelet.runs_on(sidecar), kubelet.runs_on(main)) == (own, ALL - own)


@pytest.mark.usefixtures("node")
def test_an_annotation_that_cannot_be_read_counts_as_absent_and_frees_nobody_from_the_pool(kubelet: Kubelet) -> None:
    own = kubelet.runs_on(wants(kubelet))
    status = kubelet.run_pod(labels={QOS_CLASS: "LS"}, annotations={pods.RESOURCE_STATUS: '{"cpuset": "'})
    assert kubelet.runs_on(kubelet.run_container(status, cpu_request_m=100)) == ALL - own

    spec = owner_pod(kubelet, 1, annotations={"scheduling.koordinator.sh/resource-spec": "{"})
    assert not kubelet.runs_on(kubelet.run_container(spec, **asks(1))) & own


# ends


@pytest.mark.usefixtures("node")
def test_a_container_that_crashes_keeps_its_cpus(kubelet: Kubelet) -> None:
    other, main = pods.plain(kubelet), wants(kubelet)
    own = kubelet.runs_on(main)
    for _ in range(2):
        kubelet.crash(main)
        assert kubelet.runs_on(other) == ALL - own, "nobody moves in meanwhile"
        main = kubelet.run_again(main)
        assert kubelet.runs_on(main) == own


@pytest.mark.usefixtures("node")
def test_an_ended_pods_cpus_are_free_at_once_though_its_sandbox_stays(kubelet: Kubelet) -> None:
    other, main = pods.plain(kubelet), wants(kubelet, HALF)
    kubelet.end_pod(main.pod)
    eventually_on(kubelet, other, ALL, "the owner's pod has ended")

    # No waiting: the next one is given what the one before had.
    everything = wants(kubelet, MANY)
    assert kubelet.runs_on(everything) == ALL
    kubelet.end_pod(everything.pod)
    assert kubelet.runs_on(wants(kubelet, MANY)) == ALL


@pytest.mark.usefixtures("node")
def test_a_finished_jobs_cpus_are_free_though_the_pod_is_kept(kubelet: Kubelet) -> None:
    other, job = pods.plain(kubelet), kubelet.run_container(owner_pod(kubelet, 1), command=UNTIL_STOPPED, **asks(1))
    assert len(kubelet.runs_on(job)) == 1
    kubelet.finish(job)
    kubelet.end_pod(job.pod)
    eventually_on(kubelet, other, ALL, "the job is done")


@pytest.mark.usefixtures("node")
def test_a_pod_whose_cgroup_has_gone_holds_nothing(kubelet: Kubelet) -> None:
    other, main = pods.plain(kubelet), wants(kubelet)
    kubelet.crash(main)
    kubelet.kill_sandbox(main.pod)
    assert kubelet.runs_on(other) != ALL, "nothing was given"

    kubelet.cgroups.remove(main.pod.cgroup)

    eventually_on(kubelet, other, ALL, "the owner's cgroup has gone")


@pytest.mark.usefixtures("node")
def test_a_pod_made_again_has_its_cpus_while_the_sandbox_of_the_one_before_stays(kubelet: Kubelet) -> None:
    old = wants(kubelet, MANY)

    new = kubelet.replace_pod(old.pod, **asks(MANY))
    main = kubelet.run_container(new, **asks(MANY))

    assert kubelet.runs_on(main) == ALL
    assert kubelet.read(main, "cpu.quota") == UNLIMITED
    kubelet.collect()
    other = pods.plain(kubelet)
    assert kubelet.runs_on(main) == ALL, "the old pod's removal takes nothing from the new one"
    kubelet.end_pod(new)
    eventually_on(kubelet, other, ALL, "the owner's pod has ended")


@pytest.mark.usefixtures("node")
def test_a_second_sandbox_of_a_pod_finds_its_cpus_again(kubelet: Kubelet) -> None:
    other, neighbour, main = pods.plain(kubelet), wants(kubelet), wants(kubelet, HALF)
    own, neighbours = kubelet.runs_on(main), kubelet.runs_on(neighbour)
    assert len(own) == HALF

    kubelet.kill_sandbox(main.pod)
    (again,) = kubelet.change_sandbox(main.pod)

    assert kubelet.runs_on(again) == own
    kubelet.collect()
    assert kubelet.runs_on(again) == own, "the first sandbox's removal takes nothing from the second"
    assert kubelet.runs_on(neighbour) == neighbours
    if own | neighbours != ALL:
        eventually_on(kubelet, other, ALL - own - neighbours, "in the share pool")


# resizes


@pytest.mark.usefixtures("node")
def test_a_resize_up_adds_cpus_to_those_it_has(kubelet: Kubelet) -> None:
    main = wants(kubelet)
    before = kubelet.runs_on(main)

    kubelet.resize_in_place(main, **asks(2))

    eventually_owns(kubelet, main, 2, [])
    assert before <= kubelet.runs_on(main)
    assert kubelet.read(main, "cpu.quota") == UNLIMITED


@pytest.mark.usefixtures("node")
def test_a_resize_up_for_which_there_are_none_keeps_what_it_has(kubelet: Kubelet) -> None:
    first, second = wants(kubelet, HALF), wants(kubelet, MANY - HALF)
    before = kubelet.runs_on(first), kubelet.runs_on(second)

    kubelet.resize_in_place(first, **asks(HALF + 1))
    assert (kubelet.runs_on(first), kubelet.runs_on(second)) == before

    kubelet.end_pod(second.pod)
    eventually_owns(kubelet, first, HALF + 1, [])
    assert before[0] <= kubelet.runs_on(first)


@pytest.mark.usefixtures("node")
def test_a_resize_down_gives_the_surplus_back(kubelet: Kubelet) -> None:
    main = wants(kubelet, MANY)

    kubelet.resize_in_place(main, **asks(1))

    own = kubelet.runs_on(main)
    assert len(own) == 1, "in the reply to the update itself"
    assert kubelet.runs_on(pods.plain(kubelet)) == ALL - own


@pytest.mark.usefixtures("node")
def test_a_resize_to_a_fraction_gives_all_back_and_one_to_whole_cpus_gets_some(kubelet: Kubelet) -> None:
    other, main = pods.plain(kubelet), wants(kubelet)

    kubelet.resize_in_place(main, **asks(0.5))
    eventually_on(kubelet, main, ALL, "it shares")
    eventually_on(kubelet, other, ALL, "all share")
    eventually(lambda: kubelet.read(main, "cpu.quota") == 50_000, "a sharer's quota")

    kubelet.resize_in_place(main, **asks(1))
    own = eventually_owns(kubelet, main, 1, [other])
    assert kubelet.runs_on(other) == ALL - own
    eventually(lambda: kubelet.read(main, "cpu.quota") == UNLIMITED, "no quota on exclusive CPUs")


# those that had to share


@pytest.mark.usefixtures("node")
def test_who_had_to_share_gets_cpus_as_soon_as_there_are_some(kubelet: Kubelet) -> None:
    first, waiting = wants(kubelet, MANY - 1), wants(kubelet, 2)
    assert not kubelet.runs_on(waiting) & kubelet.runs_on(first), "it shares what is left"

    kubelet.end_pod(first.pod)

    other = pods.plain(kubelet) if MANY > 2 else None
    eventually_owns(kubelet, waiting, 2, [other] if other else [])
    eventually(lambda: kubelet.read(waiting, "cpu.quota") == UNLIMITED, "no quota on exclusive CPUs")


def test_nobody_is_promoted_where_the_policy_says_so(kubelet: Kubelet, node: Daemon) -> None:
    take(node, NOT_PROMOTED)
    first, waiting, other = wants(kubelet, MANY - 1), wants(kubelet, 2), pods.plain(kubelet)
    kubelet.end_pod(first.pod)
    eventually_on(kubelet, other, ALL, "the owner's pod has ended")
    eventually_on(kubelet, waiting, ALL, "it shares")
    # Another owner's coming and going is no reason either.
    kubelet.end_pod(wants(kubelet).pod)
    eventually_on(kubelet, waiting, ALL, "it shares")


def test_who_was_born_while_we_were_away_gets_cpus_when_we_are_back(kubelet: Kubelet, node: Daemon) -> None:
    node.kill()
    other, main = pods.plain(kubelet), wants(kubelet)
    assert kubelet.runs_on(main) == ALL

    node.start()

    own = eventually_owns(kubelet, main, 1, [other])
    assert kubelet.runs_on(other) == ALL - own


# restarts


def test_after_a_restart_the_map_is_the_same_and_what_ended_meanwhile_is_free(kubelet: Kubelet, node: Daemon) -> None:
    stays, other = wants(kubelet), pods.plain(kubelet)
    own = kubelet.runs_on(stays)
    for state in ("kept", "lost"):
        goes = wants(kubelet, HALF)
        assert len(kubelet.runs_on(goes)) == HALF
        node.kill()
        if state == "lost":
            for file in node.state_dir.iterdir():
                file.unlink()
        kubelet.end_pod(goes.pod)

        node.start()

        eventually_on(kubelet, other, ALL - own, f"what ended meanwhile is free, with its state {state}")
        assert kubelet.runs_on(stays) == own, f"with its state {state}"
    node.restart()
    assert (kubelet.runs_on(stays), kubelet.runs_on(other)) == (own, ALL - own)


# bounds


def narrow(cpus: CPUSet) -> None:
    """Bound the cgroup of all pods, as an administrator does; all CPUs bound nothing."""
    if lab.SYSTEMD:
        # An empty AllowedCPUs= would be noted by systemd and not written.
        subprocess.run(["systemctl", "set-property", "--runtime", "kubepods.slice", f"AllowedCPUs={cpus}"], check=True)
        return
    directory = Path("/sys/fs/cgroup/cpuset/kubepods")
    directory.mkdir(exist_ok=True)
    (directory / "cpuset.mems").write_text((directory.parent / "cpuset.mems").read_text())
    # v1 refuses to take a CPU from a cgroup while one below has it, and to give one that the cgroup above has not.
    all_of = [directory, *(path for path in directory.rglob("*") if path.is_dir())]
    for path in all_of if cpus == ALL else reversed(all_of):
        (path / "cpuset.cpus").write_text(str(cpus))


@pytest.fixture
def _widened() -> Iterator[None]:
    """Whatever a test makes of the cgroup of all pods, it has all CPUs in the end."""
    yield
    narrow(ALL)


@pytest.mark.usefixtures("_widened")
def test_who_runs_and_who_is_born_has_cpus_of_the_cgroup_of_all_pods_however_wide_that_is(
    kubelet: Kubelet, node: Daemon
) -> None:
    wanted = [2, 2] if MANY > 4 else [1]
    owners, other = [wants(kubelet, count) for count in wanted], pods.plain(kubelet)
    # The first loses all that it has, the second a part.
    bound = ALL - kubelet.runs_on(owners[0]) - CPUSet(sorted(kubelet.runs_on(owners[-1]))[:1])

    def apart_in(cpus: CPUSet) -> list[CPUSet]:
        own, shared = [kubelet.runs_on(each) for each in owners], kubelet.runs_on(other)
        owned = CPUSet([cpu for each in own for cpu in each])
        assert [len(each) for each in own] == wanted, f"owners have {[str(each) for each in own]}"
        assert (len(owned), owned <= cpus) == (sum(wanted), True), f"of {cpus} they have {[str(each) for each in own]}"
        assert shared == (cpus - owned or cpus), f"owners have {owned} of {cpus}, the other one runs on {shared}"
        return own

    if kubelet.cgroups.version == 2:
        narrow(bound)
    else:  # containers must be narrowed first, which is undone at once while we are there
        node.kill()
        narrow(bound)
        node.start()
    own = eventually(lambda: apart_in(bound), "all to run within")
    node.restart()
    assert apart_in(bound) == own

    late = wants(kubelet)
    taken = CPUSet([cpu for each in own for cpu in each])
    assert kubelet.runs_on(late) <= (bound - taken or bound), "where no more are left, it shares"
    assert kubelet.runs_on(pods.plain(kubelet)) <= bound
    kubelet.end_pod(late.pod)

    narrow(ALL)
    assert eventually(lambda: apart_in(ALL), "the other one to run on more") == own, "what is given within is kept"


def test_the_threads_of_one_core_stay_shared_by_default(kubelet: Kubelet, node: Daemon) -> None:
    take(node, "{}\n")
    siblings = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list").read_text()
    threads = len(CPUSet.parse(siblings.strip()))
    other = pods.plain(kubelet)
    first = wants(kubelet, MANY - threads) if threads < MANY else None

    late = wants(kubelet)

    shared = kubelet.runs_on(other)
    assert len(shared) == threads
    assert kubelet.runs_on(late) == shared
    assert first is None or kubelet.runs_on(first) == ALL - shared


@pytest.mark.usefixtures("node")
def test_where_all_is_given_away_the_others_run_with_lsr_and_not_with_lse(kubelet: Kubelet) -> None:
    other = pods.plain(kubelet)
    lse, lsr = wants(kubelet, HALF, "LSE"), wants(kubelet, MANY - HALF)

    assert kubelet.runs_on(lse) | kubelet.runs_on(lsr) == ALL
    eventually_on(kubelet, other, kubelet.runs_on(lsr), "the pool is empty")
    assert kubelet.runs_on(pods.plain(kubelet)) == kubelet.runs_on(lsr)
