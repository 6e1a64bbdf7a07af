"""read_node and refresh over whole hosts: fake ones, broken ones, and the machine that runs the tests."""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import fields as facts_of
from dataclasses import replace
from pathlib import Path

import pytest

from koordnri.host import MOST_PROBLEMS, read_node, refresh
from koordnri.model.cpuset import CPUSet
from koordnri.model.node import NodeState, Pool
from koordnri.model.topology import Topology
from tests.host.trees import CPU_FILES, HostTree, whole_host

NONSENSE = ["", "nonsense\n", "-1\n", "99999999999999999999999\n", "0-\n", "\x00", "١\n", "x" * 100_000]
PRESENCE_COUNTS = ("cpu.", "memory.", "io.", "cpuset.", "cgroup.procs")
"""Control files, whose names are what is read."""
FREE_TEXT = ("cgroup.controllers", "cpuinfo", "dm/name")
"""Files in which nothing is nonsense."""
NEGATIVE_IS_UNKNOWN = ("core_id", "die_id", "physical_package_id", "level")


KINDS = {"disks_below": "block_devices"}
"""Facts of the same files count as one."""


def differing(a: NodeState, b: NodeState) -> set[str]:
    names = {f.name for f in facts_of(a) if f.compare and getattr(a, f.name) != getattr(b, f.name)}
    return {KINDS.get(name, name) for name in names}


def test_a_whole_host(tmp_path: Path) -> None:
    node = read_node(whole_host(tmp_path).root, "worker-1")
    assert node.name == "worker-1"
    assert node.topology == Topology.regular(2, 1, 2, 2)
    assert (node.cgroup_version, node.cgroup_driver) == (2, "systemd")
    assert set(CPU_FILES) < node.cgroup_files
    assert node.resctrl is not None
    assert node.resctrl.groups == {"LSR", "LS", "BE"}
    assert node.block_devices == {
        "/dev/dm-0": "253:0",
        "/dev/mapper/vg0-root": "253:0",
        "/dev/sda": "8:0",
        "/dev/sda1": "8:0",
    }
    assert node.memory_bytes == 16_318_480 * 1024
    assert node.kubelet_cpu_policy == "static"
    assert node.problems == ()


def test_an_empty_root_is_a_node_of_which_nothing_is_known(tmp_path: Path) -> None:
    node = read_node(tmp_path / "nowhere", "n")
    assert node.topology is None
    assert node.resctrl is None
    assert node.memory_bytes == 0
    assert [p.partition(":")[0].removeprefix(str(tmp_path / "nowhere")) for p in node.problems] == [
        "/sys/fs/cgroup",
        "/sys/devices/system/cpu/online",
        "/sys/class/block",
        "/proc/meminfo",
    ]


def files_of(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and "class/block" not in str(p))


def test_nonsense_in_any_file_costs_that_fact_only(tmp_path: Path) -> None:
    """Whatever stands in a file: nothing is raised, at most one kind of fact differs, and then not in silence."""
    tree = whole_host(tmp_path)
    good = read_node(tmp_path, "n")
    for file in files_of(tmp_path):
        whole = (tmp_path / file).read_text()
        for text in NONSENSE:
            if text == "-1\n" and file.endswith(NEGATIVE_IS_UNKNOWN):
                continue
            changed = differing(good, read_node(tree.write(file, text).root, "n"))
            assert len(changed - {"problems"}) <= 1, (file, text)
            assert not changed or "problems" in changed or file.endswith(FREE_TEXT), (file, text)
        tree.write(file, whole)


def test_a_directory_in_place_of_any_file_costs_that_fact_only(tmp_path: Path) -> None:
    """A file that cannot be read, also by root."""
    tree = whole_host(tmp_path)
    good = read_node(tmp_path, "n")
    for file in files_of(tmp_path):
        if Path(file).name.startswith(PRESENCE_COUNTS) or file.endswith(("partition", "resctrl/tasks")):
            continue  # a directory of that name is another fact
        whole = (tmp_path / file).read_text()
        tree.remove(file)
        (tmp_path / file).mkdir()
        node = read_node(tmp_path, "n")
        assert len(differing(good, node) - {"problems"}) <= 1, file
        if differing(good, node):
            assert any("cannot be read: Is a directory" in p for p in node.problems), file
        (tmp_path / file).rmdir()
        tree.write(file, whole)
    assert read_node(tmp_path, "n") == good


def test_a_broken_sysfs_is_reported_in_few_lines(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 64, 1))
    for cpu in range(64):
        tree.write(f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id", "broken\n")
    problems = read_node(tmp_path, "n").problems
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1].startswith("and ")


@pytest.mark.parametrize("full", [True, False])
def test_nothing_changed_gives_the_same_object(tmp_path: Path, full: bool) -> None:
    node = read_node(whole_host(tmp_path).root, "n")
    assert refresh(node, tmp_path, full) is node


@pytest.mark.parametrize("full", [True, False])
def test_a_cpu_that_goes_offline_is_seen_at_once(tmp_path: Path, full: bool) -> None:
    node = read_node(whole_host(tmp_path).root, "n")
    HostTree(tmp_path).write("sys/devices/system/cpu/online", "0-6\n")
    found = refresh(node, tmp_path, full)
    assert found.topology is not None
    assert found.topology.online == CPUSet(range(7))
    assert [c.cpu for c in found.topology.cpus] == list(range(7))


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(("text", "cpus"), [("0-1\n", "0-1"), ("0-7\n", "0-7"), ("\n", "None"), ("x\n", "None")])
def test_the_pods_cgroup_is_looked_at_every_time(tmp_path: Path, text: str, cpus: str, full: bool) -> None:
    tree = whole_host(tmp_path).write("sys/fs/cgroup/kubepods.slice/cpuset.cpus.effective", "2-5\n")
    node = read_node(tmp_path, "n")
    assert str(node.pods_cpus) == "2-5"
    tree.write("sys/fs/cgroup/kubepods.slice/cpuset.cpus.effective", text)
    assert str(refresh(node, tmp_path, full).pods_cpus) == cpus


@pytest.mark.parametrize("full", [True, False])
def test_resctrl_groups_that_come_and_go_are_seen_at_once(tmp_path: Path, full: bool) -> None:
    tree = whole_host(tmp_path)
    node = read_node(tmp_path, "n")
    tree.remove("sys/fs/resctrl/BE").write("sys/fs/resctrl/koordlet-1/schemata", "")
    found = refresh(node, tmp_path, full)
    assert found.resctrl is not None
    assert found.resctrl.groups == {"LSR", "LS", "koordlet-1"}
    assert differing(node, found) == {"resctrl"}
    tree.remove("sys/fs/resctrl")
    assert refresh(found, tmp_path, full).resctrl is None


def test_resctrl_mounted_later_is_found_by_the_next_full_look(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 2, 1)).cgroup_v2()
    node = read_node(tmp_path, "n")
    tree.resctrl("L3:0=7ff\n", info={"L3/cbm_mask": "7ff\n", "L3/num_closids": "4\n"}, groups=["BE"])
    assert refresh(node, tmp_path, full=False) is node
    found = refresh(node, tmp_path, full=True).resctrl
    assert found is not None
    assert found.groups == {"BE"}


def test_a_full_look_sees_everything(tmp_path: Path) -> None:
    tree = whole_host(tmp_path)
    node = read_node(tmp_path, "n")
    tree.disk("sdb", "8:16").meminfo(1024).cpu_manager("none").write("sys/fs/cgroup/kubepods.slice/cpu.new", "")
    changed = {"block_devices", "memory_bytes", "kubelet_cpu_policy", "cgroup_files"}
    assert refresh(node, tmp_path, full=False) is node
    assert differing(node, refresh(node, tmp_path, full=True)) == changed


def test_a_new_file_opens_its_route(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cgroup_v2("cpu", {"kubepods": ("cpu.max",)})
    node = read_node(tmp_path, "n")
    found = refresh(node, tree.write("sys/fs/cgroup/kubepods/cpu.max.burst", "").root, full=True)
    assert found.create_routes != node.create_routes


def test_problems_come_and_go(tmp_path: Path) -> None:
    tree = whole_host(tmp_path)
    node = read_node(tmp_path, "n")
    bad = refresh(node, tree.write("proc/meminfo", "?").root, full=True)
    assert len(bad.problems) == 1
    assert refresh(bad, tmp_path, full=True) is bad
    assert refresh(bad, tree.meminfo(16_318_480).root, full=True) == node


@pytest.mark.parametrize("full", [True, False])
def test_what_others_know_of_the_node_is_kept(tmp_path: Path, full: bool) -> None:
    tree = whole_host(tmp_path)
    pools = (Pool(0, 0, "0-3"),)
    node = replace(
        read_node(tmp_path, "n"),
        labels={"a": "b"},
        annotations={"c": "d"},
        ls_pools=pools,
        be_pools=pools,
        system_cpus="0",
        reserved_cpus=CPUSet([0]),
    )
    tree.write("sys/devices/system/cpu/online", "0-6\n").remove("sys/fs/resctrl/BE")
    found = refresh(node, tmp_path, full)
    assert differing(node, found) == {"topology", "resctrl"} | ({"problems"} if found.problems else set())


def test_refresh_never_raises_when_everything_is_gone(tmp_path: Path) -> None:
    node = read_node(whole_host(tmp_path / "host").root, "n")
    assert refresh(node, tmp_path / "nowhere", full=False).topology is None
    gone = refresh(node, tmp_path / "nowhere", full=True)
    assert refresh(gone, tmp_path / "nowhere", full=False) is gone


# the machine that runs the tests


def test_this_machine_has_the_cpus_that_the_kernel_says() -> None:
    node = read_node(Path("/"), "here")
    assert node.topology is not None
    assert len(node.topology.cpus) == os.cpu_count()
    assert CPUSet(os.sched_getaffinity(0)) <= node.topology.online
    assert node.memory_bytes > 0


def test_this_machines_disks_have_the_numbers_of_their_device_nodes() -> None:
    for path, number in (read_node(Path("/"), "here").block_devices or {}).items():
        partition = os.path.exists(f"/sys/class/block/{path.removeprefix('/dev/')}/partition")
        if os.path.exists(path) and not partition:
            device = os.stat(path).st_rdev
            assert number == f"{os.major(device)}:{os.minor(device)}", path


def test_this_machines_cgroup_version_is_that_of_its_mounts() -> None:
    mounts = [line.split()[1:4] for line in Path("/proc/self/mounts").read_text().splitlines()]
    v1 = [options for target, kind, options in mounts if kind == "cgroup" and target.startswith("/sys/fs/cgroup/")]
    with_controllers = any({"cpu", "cpuset", "memory"} & set(options.split(",")) for options in v1)
    assert read_node(Path("/"), "here").cgroup_version == (1 if with_controllers else 2)


def test_this_machine_does_not_change_between_two_looks() -> None:
    node = read_node(Path("/"), "here")
    again = refresh(node, Path("/"), full=False)
    assert again is node


@pytest.fixture
def read_only_cgroups(tmp_path: Path) -> Iterator[Callable[[bool], None]]:
    """Mounts a described host's cgroups over themselves; to be called with whether read-only."""
    path = tmp_path / "sys/fs/cgroup"
    whole_host(tmp_path)
    if subprocess.run(["mount", "--bind", path, path], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")

    def remount(read_only: bool) -> None:
        subprocess.run(["mount", "-o", f"remount,bind,{'ro' if read_only else 'rw'}", path], check=True)

    yield remount
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.mark.parametrize("full", [True, False])
def test_cgroups_that_become_read_only_are_seen_at_once(
    tmp_path: Path, full: bool, read_only_cgroups: Callable[[bool], None]
) -> None:
    node = read_node(tmp_path, "n")
    assert (node.cgroup_read_only, node.problems) == (False, ())
    read_only_cgroups(True)
    found = refresh(node, tmp_path, full)
    assert found.cgroup_read_only
    (problem,) = found.problems
    assert problem.startswith(
        f"{tmp_path}/sys/fs/cgroup/kubepods.slice: mounted read-only: nobody is given exclusive CPUs"
    )
    assert refresh(found, tmp_path, full) is found
    read_only_cgroups(False)
    assert refresh(found, tmp_path, full) == node


def test_files_of_the_host_and_of_processes_count_where_the_daemon_may_write_them(tmp_path):
    host = tmp_path / "proc/sys/vm"
    host.mkdir(parents=True)
    (host / "min_free_kbytes").write_text("67584\n")
    (tmp_path / "proc/self").symlink_to(str(os.getpid()))
    node = read_node(tmp_path, "n")
    assert not {f for f in (*node.root_files, *node.cgroup_files) if "proc" in f}
    allowed = read_node(tmp_path, "n", frozenset({"processes", "sysctls"}))
    assert "/proc/sys/vm/min_free_kbytes" in allowed.root_files
    assert "/proc/sys/vm/watermark_scale_factor" not in allowed.root_files, "this kernel has none"
    assert "processes/oom_score_adj" in allowed.cgroup_files
    assert refresh(allowed, tmp_path, full=True) is allowed
    (tmp_path / "proc/self").unlink()
    (tmp_path / "proc/self").symlink_to("1234567")
    elsewhere = refresh(allowed, tmp_path, full=True)
    assert "processes/oom_score_adj" not in elsewhere.cgroup_files, "ids of another pid namespace name nobody"


def test_cgroups_are_writable_where_only_those_of_pods_are(
    tmp_path: Path, read_only_cgroups: Callable[[bool], None]
) -> None:
    """As the chart's writableCgroups mounts them."""
    top = tmp_path / "sys/fs/cgroup"
    driver = read_node(tmp_path, "n").cgroup_driver
    pods = top / ("kubepods.slice" if driver == "systemd" else "kubepods")
    pods.mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", pods, pods], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", top], check=True)
        node = read_node(tmp_path, "n")
        assert (node.cgroup_read_only, node.problems) == (False, ())
        assert refresh(node, tmp_path, full=False) is node
        subprocess.run(["mount", "-o", "remount,bind,ro", pods], check=True)
        found = refresh(node, tmp_path, full=False)
        assert found.cgroup_read_only
        assert found.problems[0].startswith(f"{pods}: mounted read-only")
    finally:
        subprocess.run(["umount", "--lazy", pods], check=True)
