"""The laboratory itself, without koordnri: what kubelet asks for is what the container gets."""

from tests.e2e.containerd import Containerd
from tests.e2e.kubelet import UNTIL_STOPPED, Kubelet, Pod
from tests.support.waiting import eventually

MIB = 1 << 20


def sandboxes(kubelet: Kubelet, pod: Pod) -> dict[str, bool]:
    """Every sandbox that the runtime has of pods of this name → whether it is ready."""
    mine = {"label_selector": {"io.kubernetes.pod.name": pod.name}}
    items = kubelet.cri.call("ListPodSandbox", filter=mine).items
    return {item.id: item.state == kubelet.cri.messages.SANDBOX_READY for item in items}


def exit_codes(kubelet: Kubelet, pod: Pod) -> list[tuple[str, int, int | None]]:
    """Name, attempt and exit code of the pod's containers as the runtime has them; None of one that runs."""
    mine = {"label_selector": {"io.kubernetes.pod.uid": pod.uid}}
    found = []
    for item in kubelet.cri.call("ListContainers", filter=mine).containers:
        status = kubelet.cri.call("ContainerStatus", container_id=item.id).status
        running = status.state == kubelet.cri.messages.CONTAINER_RUNNING
        found.append((status.metadata.name, status.metadata.attempt, None if running else status.exit_code))
    return sorted(found)


def test_requests_and_limits_reach_the_cgroup_files_and_the_environment(kubelet: Kubelet) -> None:
    pod = kubelet.run_pod(cpu_request_m=250, cpu_limit_m=500, memory_limit=64 * MIB)
    container = kubelet.run_container(
        pod, cpu_request_m=250, cpu_limit_m=500, memory_limit=64 * MIB, cpus="1", env={"COLOUR": "green"}
    )

    assert kubelet.reads(container, "cpu.quota", "cpu.period", "cpu.cpus", "memory.limit") == {
        "cpu.quota": 50_000,
        "cpu.period": 100_000,
        "cpu.cpus": "1",
        "memory.limit": 64 * MIB,
    }
    assert kubelet.has_shares(container, 256)
    assert kubelet.environment(container)["COLOUR"] == "green"
    assert kubelet.exec(container, "cat", "/proc/self/status").count("Cpus_allowed_list:\t1\n") == 1


def test_no_limits_read_as_unlimited(kubelet: Kubelet) -> None:
    container = kubelet.run_container(kubelet.run_pod(qos="BestEffort"))

    assert kubelet.reads(container, "cpu.quota", "memory.limit") == {"cpu.quota": -1, "memory.limit": -1}
    assert kubelet.has_shares(container, 2)


def test_a_resize_changes_the_files(kubelet: Kubelet) -> None:
    pod = kubelet.run_pod(cpu_request_m=250, cpu_limit_m=500, memory_limit=64 * MIB)
    container = kubelet.run_container(pod, cpu_request_m=250, cpu_limit_m=500, memory_limit=64 * MIB)

    kubelet.resize_pod(pod, cpu_request_m=500, cpu_limit_m=1000, memory_limit=128 * MIB)
    kubelet.resize(container, cpu_request_m=500, cpu_limit_m=1000, memory_limit=128 * MIB)

    assert kubelet.reads(container, "cpu.quota", "memory.limit") == {"cpu.quota": 100_000, "memory.limit": 128 * MIB}
    assert kubelet.has_shares(container, 512)


def test_the_static_cpu_manager_moves_a_container(kubelet: Kubelet) -> None:
    container = kubelet.run_container(kubelet.run_pod())
    kubelet.rewrite_cpuset(container, "0")
    assert kubelet.read(container, "cpu.cpus") == "0"


def test_containers_survive_a_killed_runtime(kubelet: Kubelet, runtime: Containerd) -> None:
    container = kubelet.run_container(kubelet.run_pod(), cpu_limit_m=500)
    pid = kubelet.pid(container)

    runtime.restart()

    assert kubelet.pid(container) == pid
    assert kubelet.running(container)
    assert kubelet.read(container, "cpu.quota") == 50_000


def test_a_stopped_and_removed_container_leaves_no_cgroup(kubelet: Kubelet) -> None:
    pod = kubelet.run_pod()
    container = kubelet.run_container(pod)
    directories = kubelet.cgroups.of(kubelet.pid(container))
    assert all(directory.exists() for directory in directories.values())

    kubelet.stop(container)
    kubelet.remove(container)
    kubelet.remove_pod(pod)

    assert not any(directory.exists() for directory in directories.values())


def test_an_ended_pod_stays_with_the_runtime_until_it_is_collected(kubelet: Kubelet) -> None:
    pod = kubelet.run_pod()
    container = kubelet.run_container(pod)
    directories = kubelet.cgroups.of(kubelet.pid(container))

    kubelet.end_pod(pod)

    # The runtime notes the pause process' exit after it has answered.
    eventually(lambda: sandboxes(kubelet, pod) == {pod.sandbox_id: False}, "the sandbox to be not ready", 10.0)
    assert exit_codes(kubelet, pod) == [("main", 0, 137)]
    assert not any(directory.parent.exists() for directory in directories.values()), "the pod's cgroup goes at once"
    kubelet.collect(keep=1)
    assert sandboxes(kubelet, pod) == {pod.sandbox_id: False}
    kubelet.collect()
    assert sandboxes(kubelet, pod) == {}
    assert exit_codes(kubelet, pod) == []


def test_a_pod_made_again_runs_beside_the_sandbox_of_the_one_before(kubelet: Kubelet) -> None:
    old = kubelet.run_pod(labels={"app": "db"})
    kubelet.run_container(old)

    new = kubelet.replace_pod(old)

    assert (new.name, new.config["labels"]["app"]) == (old.name, "db")
    assert new.uid != old.uid
    assert new.config["labels"]["io.kubernetes.pod.uid"] == new.uid
    assert sandboxes(kubelet, old) == {old.sandbox_id: False, new.sandbox_id: True}


def test_a_pod_whose_pause_process_dies_gets_a_second_sandbox(kubelet: Kubelet) -> None:
    pod = kubelet.run_pod()
    kubelet.run_container(pod)
    first = pod.sandbox_id

    kubelet.kill_sandbox(pod)
    (again,) = kubelet.change_sandbox(pod)

    assert sandboxes(kubelet, pod) == {first: False, pod.sandbox_id: True}
    assert exit_codes(kubelet, pod) == [("main", 0, 137), ("main", 1, None)]
    kubelet.collect()
    assert sandboxes(kubelet, pod) == {pod.sandbox_id: True}
    assert exit_codes(kubelet, pod) == [("main", 1, None)]
    assert kubelet.running(again)


def test_containers_end_by_themselves_and_come_back_and_the_last_that_ended_stays(kubelet: Kubelet) -> None:
    pod = kubelet.run_pod()
    kubelet.run_init(pod)
    main, job = kubelet.run_container(pod), kubelet.run_container(pod, "job", command=UNTIL_STOPPED)

    kubelet.finish(job)
    for _ in range(2):
        kubelet.crash(main)
        main = kubelet.run_again(main)

    assert exit_codes(kubelet, pod) == [("init", 0, 0), ("job", 0, 0), ("main", 1, 137), ("main", 2, None)]


def test_a_resize_in_place_moves_container_and_pod(kubelet: Kubelet) -> None:
    pod = kubelet.run_pod(cpu_request_m=500, cpu_limit_m=1000)
    first, second = (kubelet.run_container(pod, name, cpu_request_m=250, cpu_limit_m=500) for name in ("a", "b"))
    own = kubelet.cgroups.of(kubelet.pid(first))
    above = {controller: directory.parent for controller, directory in own.items()}

    for limit_m in (1000, 300):
        kubelet.resize_in_place(first, cpu_request_m=250, cpu_limit_m=limit_m)
        assert kubelet.read(first, "cpu.quota") == limit_m * 100
        assert kubelet.read(second, "cpu.quota") == 50_000
        assert kubelet.cgroups.read(above, "cpu.quota") == (limit_m + 500) * 100


def test_kubelet_writes_the_shares_of_its_classes(kubelet: Kubelet) -> None:
    pod = kubelet.run_pod(cpu_request_m=500)
    container = kubelet.run_container(pod, cpu_request_m=500)
    own = kubelet.cgroups.of(kubelet.pid(container))
    of_class = {controller: directory.parents[1] for controller, directory in own.items()}

    kubelet.write_classes()

    assert kubelet.cgroups.has_shares(of_class, 512)
