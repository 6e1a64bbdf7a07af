"""Facts of fake hosts, and of the machine that runs the tests."""

import os
import socket
from pathlib import Path

import pytest

from koordnri.doctor.codes import CODES
from koordnri.doctor.diagnose import diagnose
from koordnri.doctor.facts import CONTAINERD, CRIO, DaemonFacts, Facts
from koordnri.doctor.reading import read_facts
from koordnri.wire.versions import Version
from tests.host.trees import HostTree, whole_host

NO_DAEMON = DaemonFacts()


def read(root: Path, daemon: DaemonFacts = NO_DAEMON, state: Path | None = None) -> Facts:
    return read_facts(root, str(root / "run/nri/nri.sock"), "koordnri", state or root / "state", daemon)


def started(tree: HostTree, pid: int, *args: str) -> HostTree:
    return tree.write(f"proc/{pid}/cmdline", "\0".join(args) + "\0")


def host(root: Path) -> HostTree:
    """A whole host on which /proc has itself and a containerd 2."""
    tree = whole_host(root).write("proc/self/status", "").write("proc/pressure/cpu", "some avg10=0.00\n")
    tree.write("proc/sys/fs/inotify/max_user_watches", "65536\n").write("etc/containerd/config.toml", "version = 3\n")
    tree.write("usr/bin/containerd", "#!/bin/sh\necho containerd x v2.4.2 abc\n")
    (root / "usr/bin/containerd").chmod(0o755)
    return started(tree, 40, "/usr/bin/containerd")


def test_a_whole_host(tmp_path: Path) -> None:
    facts = read(host(tmp_path).root)
    assert facts.runtime.kind == CONTAINERD
    assert facts.runtime.version_text == "2.4.2"
    assert facts.runtime.running
    assert facts.runtime.config is not None
    assert facts.runtime.config.path == "/etc/containerd/config.toml"
    assert facts.kubelet.cpu_policy == "static"
    assert (facts.cgroups.version, facts.cgroups.driver, facts.cgroups.writable) == (2, "systemd", True)
    assert facts.kernel.resctrl_mounted
    assert facts.kernel.pressure
    assert facts.kernel.inotify_watches == 65536
    assert facts.ours.host_found
    assert not facts.ours.socket_found
    assert facts.problems == ()
    assert {"KN0103", "KN0301", "KN0901"} <= {finding.code for finding in diagnose(facts)}


def test_an_empty_root_is_a_wrong_root(tmp_path: Path) -> None:
    assert [f.code for f in diagnose(read(tmp_path)) if f.code != "KN0701"] == ["KN0703", "KN0112", "KN0901"]


def test_the_socket_is_found(tmp_path: Path) -> None:
    (tmp_path / "run/nri").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        directory = os.open(tmp_path / "run/nri", os.O_PATH)
        listening.bind(f"/proc/self/fd/{directory}/nri.sock")
        os.close(directory)
        assert read(tmp_path).ours.socket_found


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ([("/usr/bin/crio",)], CRIO),
        ([("/usr/bin/crio",), ("/usr/bin/containerd",)], CRIO),
        (
            [("/usr/bin/crio",), ("kubelet", "--container-runtime-endpoint=unix:///run/containerd/containerd.sock")],
            CONTAINERD,
        ),
        ([("/sbin/init",)], ""),
    ],
)
def test_the_runtime_is_the_one_that_kubelet_uses(
    tmp_path: Path, programs: list[tuple[str, ...]], expected: str
) -> None:
    for pid, args in enumerate(programs, 10):
        started(HostTree(tmp_path), pid, *args)
    assert read(tmp_path).runtime.kind == expected


def test_a_stopped_runtime_is_known_by_its_configuration(tmp_path: Path) -> None:
    started(HostTree(tmp_path), 1, "/sbin/init").write("etc/crio/crio.conf", "[crio]\n")
    runtime = read(tmp_path).runtime
    assert (runtime.kind, runtime.running) == (CRIO, False)


def test_what_the_daemon_met_goes_before_what_is_found(tmp_path: Path) -> None:
    daemon = DaemonFacts(running=True, runtime_name="cri-o", runtime_version="1.36.1")
    runtime = read(host(tmp_path).root, daemon).runtime
    assert (runtime.kind, runtime.version_text, runtime.nri) == (CRIO, "1.36.1", Version(0, 11, 0))


def test_the_configuration_is_the_one_that_containerd_was_started_with(tmp_path: Path) -> None:
    path = "var/lib/rancher/k3s/agent/etc/containerd/config.toml"
    tree = started(host(tmp_path), 30, "containerd", "--config", "/var/run/docker/containerd/containerd.toml")
    started(tree, 40, "containerd", "-c", f"/{path}").write(
        path, "[plugins.'io.containerd.nri.v1.nri']\ndisable = true\n"
    )
    config = read(tmp_path).runtime.config
    assert config is not None
    assert (config.path, config.enabled) == (f"/{path}", False)


def test_without_a_file_the_runtime_has_its_defaults(tmp_path: Path) -> None:
    host(tmp_path).remove("etc/containerd/config.toml")
    config = read(tmp_path).runtime.config
    assert config is not None
    assert config.enabled is None


def test_inside_a_pod_the_configuration_is_not_known(tmp_path: Path) -> None:
    host(tmp_path).remove("etc")
    assert read(tmp_path).runtime.config is None


def test_a_malformed_configuration_is_a_finding(tmp_path: Path) -> None:
    host(tmp_path).write("etc/containerd/config.toml", "nonsense\n")
    assert "KN0111" in {finding.code for finding in diagnose(read(tmp_path))}


def test_kubelets_command_line_goes_before_its_file(tmp_path: Path) -> None:
    tree = started(host(tmp_path), 50, "/usr/bin/kubelet", "--config", "/etc/kubelet.yaml", "--cgroup-driver=systemd")
    tree.write("etc/kubelet.yaml", "cgroupDriver: cgroupfs\nmemoryManagerPolicy: Static\ncgroupsPerQOS: false\n")
    kubelet = read(tmp_path).kubelet
    assert kubelet.config_path == "/etc/kubelet.yaml"
    assert (kubelet.cgroup_driver, kubelet.memory_policy, kubelet.cgroups_per_qos) == ("systemd", "Static", False)


def test_kubelets_state_is_missed_only_where_kubelet_runs(tmp_path: Path) -> None:
    host(tmp_path).remove("var/lib/kubelet/cpu_manager_state")
    assert read(tmp_path).kubelet.state_found
    started(HostTree(tmp_path), 50, "kubelet", "--root-dir=/data/kubelet")
    kubelet = read(tmp_path).kubelet
    assert (kubelet.state_dir, kubelet.state_found) == ("/data/kubelet", False)


@pytest.mark.parametrize("text", ["{", "- a\n", "", "cgroupDriver: 3\n"])
def test_a_malformed_file_of_kubelet_says_nothing(tmp_path: Path, text: str) -> None:
    kubelet = read(host(tmp_path).write("var/lib/kubelet/config.yaml", text).root).kubelet
    assert (kubelet.cgroup_driver, kubelet.cgroups_per_qos) == (None, None)


def test_controllers_are_those_of_the_pods_cgroup(tmp_path: Path) -> None:
    tree = host(tmp_path).write("sys/fs/cgroup/kubepods.slice/cgroup.controllers", "cpu memory\n")
    assert read(tmp_path).cgroups.controllers == {"cpu", "memory"}
    tree.remove("sys/fs/cgroup/kubepods.slice")
    assert "cpuset" in (read(tmp_path).cgroups.controllers or ())


def test_controllers_of_cgroup_v1_are_its_hierarchies(tmp_path: Path) -> None:
    HostTree(tmp_path).cgroup_v1("kubepods", "kubepods.slice").remove("sys/fs/cgroup/blkio").write("proc/self/x", "")
    cgroups = read(tmp_path).cgroups
    assert (cgroups.version, cgroups.controllers, cgroups.both_drivers) == (1, {"cpu", "cpuset", "memory"}, True)


def test_programs_that_write_the_same_are_found(tmp_path: Path) -> None:
    tree = started(HostTree(tmp_path), 5, "/usr/local/bin/koordlet", "-v=4")
    started(tree, 6, "/venv/bin/python3.13", "/venv/bin/koordnri", "run", "--host-root=/host")
    started(tree, 7, "/usr/bin/koordnri", "run")
    started(tree, 8, "grep", "koordnri", "run")
    started(tree, 9, "python", "/venv/bin/koordnri", "doctor")
    facts = read(tmp_path)
    assert facts.agents == ("koordlet",)
    assert facts.koordnri_pids == (6, 7)


@pytest.mark.parametrize(("kind", "problem"), [("absent", ""), ("file", "is no directory"), ("there", "")])
def test_the_state_directory(tmp_path: Path, kind: str, problem: str) -> None:
    state = tmp_path / "state"
    if kind == "file":
        state.write_text("")
    elif kind == "there":
        state.mkdir()
    assert read(tmp_path, state=state).ours.state_problem.endswith(problem)
    assert bool(read(tmp_path, state=state).ours.state_problem) == bool(problem)


def test_the_state_directory_on_a_read_only_file_system() -> None:
    """/proc/sys and the like cannot be written, whoever asks; /proc itself is mode 0555."""
    facts = read(Path("/"), state=Path("/proc/koordnri"))
    assert facts.ours.state_problem or os.access("/proc", os.W_OK)


def test_this_machine() -> None:
    """Whatever machine this is: each finding is complete, and says what to do."""
    findings = diagnose(read(Path("/")))
    assert all(f.code in CODES and f.object and f.cause and f.fix for f in findings)
    assert "KN0703" not in {f.code for f in findings}
