"""The laboratory itself, without koordnri: what kubelet asks for is what the container gets."""

from tests.e2e.containerd import Containerd
from tests.e2e.kubelet import Kubelet

MIB = 1 << 20


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
