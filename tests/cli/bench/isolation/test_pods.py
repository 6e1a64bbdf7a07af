"""Pods by CRI, with a runtime that runs a container's program as a plain process, and cgroups in a tree of directories."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.isolation import cri, inside, kubelet_cgroups
from koordnri.cli.bench.isolation.kubelet_cgroups import KubeletCgroups
from koordnri.cli.bench.isolation.plan import Design, PodPlan
from koordnri.cli.bench.isolation.pods import THERE, Pods, cgroup_driver, check_node
from koordnri.host.cgroup.paths import pod_directory
from koordnri.model import KubeQoS

IMAGE = "pause:1"


class FakeCRI(cri.CRI):
    """Takes the same requests."""

    def __init__(self) -> None:
        self.socket = Path("/run/fake.sock")
        self.calls: list[tuple[str, Any]] = []
        self.others: list[Any] = []
        self.config = "{}"
        self.refuses = ""
        self.processes: list[subprocess.Popen[bytes]] = []

    def call(self, method: str, **fields: Any) -> Any:
        request, response = cri._MESSAGES[method]
        asked = request(**fields)
        self.calls.append((method, asked))
        if method == self.refuses:
            raise BenchError(f"{method}: refused")
        match method:
            case "ListPodSandbox":
                return response(items=self.others)
            case "ImageStatus":
                return response(image={"id": "x"} if fields["image"]["image"] == IMAGE else None)
            case "Status":
                return response(info={"config": self.config})
            case "RunPodSandbox":
                return response(pod_sandbox_id="s")
            case "CreateContainer":
                return response(container_id="c")
            case "StopContainer":
                for process in self.processes:
                    process.kill()
                    process.wait()
            case "StartContainer":
                (created,) = [call for name, call in self.calls if name == "CreateContainer"]
                mounts = {mount.container_path: mount.host_path for mount in created.config.mounts}
                command = list(created.config.command)
                self.processes.append(subprocess.Popen(command, cwd=mounts[THERE]))
        return response()

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubeletCgroups:
    # Unlike the kernel's, a directory with files in it never becomes removable.
    monkeypatch.setattr(kubelet_cgroups, "REMOVE_S", 0.0)
    root = tmp_path / "cgroup"
    for level in ("", "kubepods", "kubepods/besteffort"):
        (root / level).mkdir(exist_ok=True)
        (root / level / "cgroup.controllers").touch()
    (root / "kubepods/besteffort/memory.low").write_text("4096\n")
    (root / "kubepods/besteffort/cpu.max").write_text("max 100000\n")
    return KubeletCgroups("cgroupfs", root)


def pods_of(runtime: FakeCRI, cgroups: KubeletCgroups, tmp_path: Path) -> Pods:
    (tmp_path / "shared").mkdir()
    return Pods(runtime, cgroups, IMAGE, tmp_path / "shared")


PLAN = PodPlan("batch", "batch", {"processes": 1, "phases": [[1.0, 0.0]]}, KubeQoS.BESTEFFORT)


def test_a_pods_program_runs_until_its_result_and_nothing_is_left(cgroups: KubeletCgroups, tmp_path: Path) -> None:
    runtime = FakeCRI()
    pods = pods_of(runtime, cgroups, tmp_path)
    with pods.running([PLAN], 0.05) as (pod,):
        until = time.monotonic() + 30
        while not pod.ready.exists() and time.monotonic() < until:
            time.sleep(0.01)
        inside.write_whole(pods.go, str(time.monotonic()))
        assert runtime.processes[0].wait(30) == 0
        assert json.loads(pod.result.read_text())["cpu_s"] > 0
        assert pod.name == "koordnri-bench/batch"
    last = ["StopContainer", "RemoveContainer", "StopPodSandbox", "RemovePodSandbox"]
    assert runtime.methods == ["RunPodSandbox", "CreateContainer", "StartContainer", *last]


def test_a_refused_container_leaves_no_sandbox(cgroups: KubeletCgroups, tmp_path: Path) -> None:
    runtime = FakeCRI()
    runtime.refuses = "CreateContainer"
    pods = pods_of(runtime, cgroups, tmp_path)
    with pytest.raises(BenchError, match="refused"), pods.running([PLAN], 0.1):
        pass
    assert runtime.methods[2:] == ["StopPodSandbox", "RemovePodSandbox"]


def test_the_request_is_as_kubelets(cgroups: KubeletCgroups, tmp_path: Path) -> None:
    runtime = FakeCRI()
    runtime.refuses = "StartContainer"
    plan = PLAN._replace(
        labels={"a": "b"}, annotations={"c": "d"}, cpu_request_m=500, cpu_limit_m=700, memory_limit=4096
    )
    with pytest.raises(BenchError), pods_of(runtime, cgroups, tmp_path).running([plan], 0.1):
        pass
    created = dict(runtime.calls)["CreateContainer"]
    sandbox = created.sandbox_config
    assert sandbox.labels["a"] == "b"
    assert sandbox.labels["io.kubernetes.pod.name"] == created.config.labels["io.kubernetes.pod.name"] == "batch"
    assert dict(sandbox.annotations) == {"c": "d"}
    assert KubeQoS.of_cgroup(sandbox.linux.cgroup_parent) is KubeQoS.BESTEFFORT
    resources = created.config.linux.resources
    assert (resources.cpu_shares, resources.cpu_quota, resources.memory_limit_in_bytes) == (512, 70_000, 4096)


def test_a_designs_files_are_there_while_it_runs(cgroups: KubeletCgroups, tmp_path: Path) -> None:
    pods = pods_of(FakeCRI(), cgroups, tmp_path)
    with pods.prepared(Design("D", "", [], files={"a.data": 1 << 20})):
        assert (tmp_path / "shared/a.data").stat().st_size == 1 << 20
    assert not (tmp_path / "shared/a.data").exists()


def test_all_pods_together_have_the_designs_memory_while_it_runs(cgroups: KubeletCgroups, tmp_path: Path) -> None:
    runtime = FakeCRI()
    pods, limit = pods_of(runtime, cgroups, tmp_path), tmp_path / "cgroup/kubepods/memory.max"
    with pods.prepared(Design("D", "", [], pods_bytes=1 << 20)):
        with pods.running([PLAN], 0.1):
            assert limit.read_text() == str(1 << 20)
        assert limit.read_text() == str(1 << 20)
    assert limit.read_text() == "max"


def test_a_class_without_the_expected_line_is_not_proved(cgroups: KubeletCgroups, tmp_path: Path) -> None:
    runtime = FakeCRI()
    pods = pods_of(runtime, cgroups, tmp_path)
    with pods.running([PLAN._replace(class_proof={"memory.low": "4096"})], 0.1) as (pod,):
        assert pods.unproved_class(pod) == []
        other = pod._replace(plan=PLAN._replace(class_proof={"memory.low": "8192"}))
        assert pods.unproved_class(other) == ["BestEffort: memory.low: expected 8192, found ['4096']"]


def test_an_arm_needs_the_class_to_have_a_quota_or_none(cgroups: KubeletCgroups, tmp_path: Path) -> None:
    pods = pods_of(FakeCRI(), cgroups, tmp_path)
    quota = tmp_path / "cgroup/kubepods/besteffort/cpu.max"
    with pods.running([PLAN], 0.1) as (pod,):
        limited = pod._replace(plan=PLAN._replace(class_quota=True))
        assert (len(pods.unproved_class(pod)), len(pods.unproved_class(limited))) == (0, 1)
        quota.write_text("50000 100000\n")
        assert (len(pods.unproved_class(pod)), len(pods.unproved_class(limited))) == (1, 0)


def test_a_pods_own_quota_is_read_in_milli_cpus(cgroups: KubeletCgroups, tmp_path: Path) -> None:
    pods = pods_of(FakeCRI(), cgroups, tmp_path)
    with pods.running([PLAN], 0.1) as (pod,):
        directory = tmp_path / "cgroup" / pod_directory(pod.cgroup_parent)
        for text, quota_m in (("53000 100000\n", 530), ("max 100000\n", -1)):
            (directory / "cpu.max").write_text(text)
            assert pods.quota_m(pod) == quota_m


def test_a_node_with_pods_or_without_the_image_is_refused() -> None:
    runtime = FakeCRI()
    check_node(runtime, IMAGE)
    with pytest.raises(BenchError, match="other:1: expected an image that the runtime has"):
        check_node(runtime, "other:1")
    runtime.others = [{"id": "1", "state": 1}, {"id": "2", "state": 0}]
    with pytest.raises(BenchError, match="expected a node without pods, found 1"):
        check_node(runtime, IMAGE)


@pytest.mark.parametrize(
    ("config", "driver"),
    [
        ("{}", "cgroupfs"),
        ('{"containerd": {"runtimes": {"runc": {"options": {"SystemdCgroup": true}}}}}', "systemd"),
        ('{"runtimes": [{"options": {"SystemdCgroup": false}}]}', "cgroupfs"),
    ],
)
def test_the_cgroup_driver_is_the_runtimes(config: str, driver: str) -> None:
    runtime = FakeCRI()
    runtime.config = config
    assert cgroup_driver(runtime) == driver
