"""What adjustments and updates make of a container's spec, and what the OCI runtime refuses (nri.md 2.6, 5.4)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from koordnri.model.cpuset import CPUSet
from koordnri.runtime import CRIError, KernelLimits, Runtime
from koordnri.runtime.errors import SpecError
from koordnri.runtime.oci import apply_adjustment, apply_update
from koordnri.runtime.state import as_sent
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.runtime.scripted_plugin import ScriptedPlugin, quota, update
from tests.support.messages import container, pod


def adjusted(spec: api.Container, kernel: KernelLimits = KernelLimits(), **fields: Any) -> api.Container:  # noqa: B008  # immutable
    adjust = api.ContainerAdjustment(**fields)
    apply_adjustment(spec, adjust, kernel)
    return spec


def resources(spec: api.Container, **fields: Any) -> api.LinuxResources:
    linux = api.LinuxContainerAdjustment(resources=api.LinuxResources(**fields))
    return adjusted(spec, linux=linux).linux.resources


def test_variables_are_replaced_in_place_then_added() -> None:
    spec = container(env=["A=0", "B=x=y", "NOEQUALS", "C=0"])
    env = [api.KeyValue(key="C", value="1"), api.KeyValue(key="-A"), api.KeyValue(key="D", value="1")]
    assert list(adjusted(spec, env=env).env) == ["B=x=y", "C=1", "D=1"]


def test_annotations_arguments_and_hooks() -> None:
    spec = container(annotations={"a": "0", "b": "0"}, args=["app"])
    adjusted(
        spec,
        annotations={"-a": "", "b": "1", "c": "1"},
        args=["w", "app"],
        hooks=api.Hooks(prestart=[api.Hook(path="/h")]),
    )
    assert dict(spec.annotations) == {"b": "1", "c": "1"}
    assert list(spec.args) == ["w", "app"]
    assert [h.path for h in spec.hooks.prestart] == ["/h"]


def test_mounts_are_replaced_removed_and_sorted_by_depth() -> None:
    spec = container(mounts=[api.Mount(destination=d, source="0") for d in ("/a/b/c", "/z", "/gone")])
    adjusted(
        spec,
        mounts=[
            api.Mount(destination="/a/b", source="1"),
            api.Mount(destination="/z", source="1"),
            api.Mount(destination="-/gone"),
        ],
    )
    assert [(m.destination, m.source) for m in spec.mounts] == [("/z", "1"), ("/a/b", "1"), ("/a/b/c", "0")]


def test_a_device_brings_its_cgroup_rule() -> None:
    spec = container(linux=api.LinuxContainer(devices=[api.LinuxDevice(path="/dev/x", major=9)]))
    devices = [
        api.LinuxDevice(path="/dev/x", type="c", major=195, minor=0),
        api.LinuxDevice(path="/dev/sdq", type="b", major=8, minor=1),
    ]
    adjusted(spec, linux=api.LinuxContainerAdjustment(devices=devices))
    assert [(d.path, d.major) for d in spec.linux.devices] == [("/dev/x", 195), ("/dev/sdq", 8)]
    rules = [(r.allow, r.type, r.major.value, r.minor.value, r.access) for r in spec.linux.resources.devices]
    assert rules == [(True, "c", 195, 0, "rw"), (True, "b", 8, 1, "rwm")]


CREATED = [
    (
        "swap follows the limit",
        {"memory": {"limit": {"value": 5}}},
        lambda r: (r.memory.limit.value, r.memory.swap.value),
        (5, 5),
    ),
    ("a limit of 0 says nothing", {"memory": {"limit": {}}}, lambda r: r.memory.limit.value, 100),
    (
        "other memory is dropped",
        {"memory": {"reservation": {"value": 5}, "swap": {"value": 9}}},
        lambda r: (r.memory.HasField("reservation"), r.memory.swap.value),
        (False, 100),
    ),
    ("a quota of 0 is set", {"cpu": {"quota": {}}}, lambda r: (r.cpu.HasField("quota"), r.cpu.quota.value), (True, 0)),
    ("an unlimited quota is set", {"cpu": {"quota": {"value": -1}}}, lambda r: r.cpu.quota.value, -1),
    ("real-time is applied", {"cpu": {"realtime_runtime": {"value": 3}}}, lambda r: r.cpu.realtime_runtime.value, 3),
    ("no cpuset says nothing", {"cpu": {"cpus": "", "mems": "1"}}, lambda r: (r.cpu.cpus, r.cpu.mems), ("0-3", "1")),
    (
        "unified is merged",
        {"unified": {"cpu.idle": "1"}},
        lambda r: dict(r.unified),
        {"memory.oom.group": "1", "cpu.idle": "1"},
    ),
    (
        "hugepages are replaced",
        {"hugepage_limits": [{"page_size": "2MB", "limit": 7}]},
        lambda r: [(h.page_size, h.limit) for h in r.hugepage_limits],
        [("2MB", 7)],
    ),
    ("pids are set", {"pids": {"limit": 7}}, lambda r: r.pids.limit, 7),
    ("pids of -1 leave the limit", {"pids": {"limit": -1}}, lambda r: r.pids.limit, 3),
]

UPDATED = [
    (
        "swap follows the limit",
        {"memory": {"limit": {"value": 5}}},
        lambda r: (r.memory.limit.value, r.memory.swap.value),
        (5, 5),
    ),
    (
        "0 says nothing",
        {"memory": {"limit": {}}, "cpu": {"quota": {}, "shares": {}, "period": {}}},
        lambda r: (r.memory.limit.value, r.cpu.quota.value, r.cpu.shares.value),
        (100, 1000, 8),
    ),
    ("an unlimited quota is set", {"cpu": {"quota": {"value": -1}}}, lambda r: r.cpu.quota.value, -1),
    (
        "real-time is dropped",
        {"cpu": {"realtime_runtime": {"value": 3}}},
        lambda r: r.cpu.HasField("realtime_runtime"),
        False,
    ),
    ("no cpuset says nothing", {"cpu": {"cpus": "", "mems": "1"}}, lambda r: (r.cpu.cpus, r.cpu.mems), ("0-3", "1")),
    (
        "unified is merged",
        {"unified": {"cpu.idle": "1"}},
        lambda r: dict(r.unified),
        {"memory.oom.group": "1", "cpu.idle": "1"},
    ),
    (
        "hugepages grow",
        {"hugepage_limits": [{"page_size": "2MB", "limit": 7}]},
        lambda r: [(h.page_size, h.limit) for h in r.hugepage_limits],
        [("2MB", 1), ("2MB", 7)],
    ),
    ("pids are dropped", {"pids": {"limit": 7}}, lambda r: r.pids.limit, 3),
    (
        "classes are dropped",
        {"blockio_class": {"value": "x"}, "rdt_class": {"value": "x"}},
        lambda r: (r.HasField("blockio_class"), r.HasField("rdt_class")),
        (False, False),
    ),
]


def stored() -> api.Container:
    spec = container()
    resources = spec.linux.resources
    resources.cpu.quota.value, resources.cpu.shares.value, resources.cpu.cpus = 1000, 8, "0-3"
    resources.memory.limit.value = resources.memory.swap.value = 100
    resources.unified["memory.oom.group"] = "1"
    resources.pids.limit = 3
    resources.hugepage_limits.add(page_size="2MB", limit=1)
    return spec


@pytest.mark.parametrize(("why", "asked", "look", "expected"), CREATED)
def test_resources_at_creation(why: str, asked: dict[str, Any], look: Callable[[Any], Any], expected: Any) -> None:
    assert look(resources(stored(), **asked)) == expected, why


@pytest.mark.parametrize(("why", "asked", "look", "expected"), UPDATED)
def test_resources_of_an_update(why: str, asked: dict[str, Any], look: Callable[[Any], Any], expected: Any) -> None:
    spec = stored()
    apply_update(spec, api.LinuxResources(**asked))
    assert look(spec.linux.resources) == expected, why


def test_the_process_is_adjusted() -> None:
    spec = container(linux=api.LinuxContainer(scheduler=api.LinuxScheduler(nice=3)))
    linux = api.LinuxContainerAdjustment(
        oom_score_adj=api.OptionalInt(value=0),
        io_priority=api.LinuxIOPriority(priority=0),
        scheduler=api.LinuxScheduler(),
        namespaces=[api.LinuxNamespace(type="network", path="/n")],
        sysctl={"a.b": "1"},
        cgroups_path="/c",
    )
    adjusted(spec, linux=linux, rlimits=[api.POSIXRlimit(type="RLIMIT_NOFILE", hard=1)])
    assert spec.linux.HasField("oom_score_adj")
    assert not spec.linux.HasField("io_priority")
    assert not spec.linux.HasField("scheduler")
    assert [(n.type, n.path) for n in spec.linux.namespaces] == [("network", "/n")]
    assert dict(spec.linux.sysctl) == {"a.b": "1"}
    assert spec.linux.cgroups_path == "/c"
    assert [r.type for r in spec.rlimits] == ["RLIMIT_NOFILE"]


def test_classes_become_a_closid_and_a_blockio_class() -> None:
    spec = container()
    linux = api.LinuxContainerAdjustment()
    linux.resources.rdt_class.value = "BE"
    linux.resources.blockio_class.value = "slow"
    adjusted(spec, KernelLimits(blockio_classes=frozenset({"slow"})), linux=linux)
    assert spec.linux.rdt.clos_id.value == "BE"
    assert spec.linux.resources.blockio_class.value == "slow"
    # A plugin is never sent either class.
    assert not as_sent(spec, Version(0, 12, 2)).linux.resources.HasField("blockio_class")
    linux.resources.rdt_class.value = linux.resources.blockio_class.value = ""
    adjusted(spec, linux=linux)
    assert not spec.linux.HasField("rdt")
    assert not spec.linux.resources.HasField("blockio_class")


def test_an_unknown_blockio_class_fails_the_creation() -> None:
    linux = api.LinuxContainerAdjustment()
    linux.resources.blockio_class.value = "slow"
    with pytest.raises(SpecError, match=r'blockio class "slow": expected one of .* \(none\)'):
        adjusted(container(), linux=linux)


def test_rdt_is_applied_after_the_class_and_can_be_removed() -> None:
    spec = container()
    linux = api.LinuxContainerAdjustment(rdt=api.LinuxRdt(clos_id=api.OptionalString(value="LS")))
    linux.resources.rdt_class.value = "BE"
    assert adjusted(spec, linux=linux).linux.rdt.clos_id.value == "LS"
    adjusted(spec, linux=api.LinuxContainerAdjustment(rdt=api.LinuxRdt(remove=True)))
    assert not spec.linux.HasField("rdt")


# -- the OCI runtime ----------------------------------------------------------------------------------------------------

REFUSALS = [
    (
        KernelLimits(cgroup_version=1),
        {"unified": {"memory.high": "1"}},
        'cannot use unified on cgroup v1: resources.unified has "memory.high"',
    ),
    (
        KernelLimits(cgroup_files=frozenset({"cpu.max"})),
        {"unified": {"memory.high": "1"}},
        'resources.unified "memory.high": this kernel has no such file',
    ),
    (
        KernelLimits(cpus=CPUSet.parse("0-3")),
        {"cpu": {"cpus": "2-5"}},
        'cpuset.cpus "2-5": the node has no CPU 4-5, only 0-3',
    ),
    (KernelLimits(cpus=CPUSet.parse("0-3")), {"cpu": {"cpus": "x"}}, 'cpuset.cpus "x":'),
]


@pytest.mark.parametrize(("kernel", "asked", "text"), REFUSALS)
def test_a_spec_that_the_node_cannot_have_fails_the_start(
    tmp_path: Path, kernel: KernelLimits, asked: dict[str, Any], text: str
) -> None:
    with Runtime(tmp_path / "nri", kernel=kernel) as runtime:
        runtime.run_pod_sandbox(pod())
        linux = api.LinuxContainer(resources=api.LinuxResources(**asked))
        runtime.create_container("p1", container(linux=linux))
        with pytest.raises(CRIError) as caught:
            runtime.start_container("c1")
        assert str(caught.value).startswith(f"StartContainer: failed to create containerd task: OCI runtime: {text}")
        runtime.remove_pod_sandbox("p1")


@pytest.mark.parametrize(("kernel", "asked", "text"), REFUSALS)
def test_an_update_that_the_node_cannot_have_fails_and_changes_nothing(
    tmp_path: Path, kernel: KernelLimits, asked: dict[str, Any], text: str
) -> None:
    with Runtime(tmp_path / "nri", kernel=kernel) as runtime:
        runtime.preload([pod()], [container()])
        with pytest.raises(CRIError, match="UpdateContainerResources"):
            runtime.update_container("c1", api.LinuxResources(**asked))
        assert runtime.containers["c1"].spec.linux.resources == api.LinuxResources()


def test_a_container_of_a_missing_resctrl_group_does_not_start(tmp_path: Path) -> None:
    linux = api.LinuxContainer(rdt=api.LinuxRdt(clos_id=api.OptionalString(value="BE")))
    kernel = KernelLimits(resctrl_groups=frozenset({"LS"}))
    with Runtime(tmp_path / "nri", kernel=kernel) as runtime:
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container(linux=linux))
        with pytest.raises(CRIError, match=r'intelRdt.closID "BE": no such resctrl group on the node, which has LS'):
            runtime.start_container("c1")


def test_an_update_of_another_container_that_fails_costs_the_request_on_cri_o_only(tmp_path: Path) -> None:
    bad = update("c1", api.LinuxResources(unified={"memory.high": "1"}))
    script = {"CreateContainer": api.CreateContainerResponse(update=[bad])}
    for name in ("containerd", "cri-o"):
        runtime = Runtime(tmp_path / name, runtime_name=name, kernel=KernelLimits(cgroup_version=1))
        with runtime, ScriptedPlugin(tmp_path / name, answers=script):
            runtime.wait_for_plugin()
            runtime.preload([pod()], [container()])
            if name == "cri-o":
                with pytest.raises(CRIError, match="failed to update containers c1"):
                    runtime.create_container("p1", container("c2"))
            else:
                runtime.create_container("p1", container("c2"))
                assert "update of container c1: cannot use unified on cgroup v1" in runtime.log[-1]


def test_an_unsolicited_update_that_fails_is_an_error_without_details(tmp_path: Path) -> None:
    bad = update("c1", api.LinuxResources(unified={"memory.high": "1"}))
    with (
        Runtime(tmp_path / "nri", kernel=KernelLimits(cgroup_version=1)) as runtime,
        ScriptedPlugin(tmp_path / "nri") as plugin,
    ):
        plugin.reply()
        runtime.wait_for_plugin()
        runtime.preload([pod()], [container()])
        reply = plugin.ask("UpdateContainers", api.UpdateContainersRequest(update=[bad]))
        assert (reply.code, reply.text) == (2, "NRI update of some containers failed")
        bad.ignore_failure = True
        assert plugin.ask("UpdateContainers", api.UpdateContainersRequest(update=[bad])).code == 0


def test_an_update_of_a_created_container_reaches_only_its_spec(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        runtime.run_pod_sandbox(pod())
        state = runtime.create_container("p1", container())
        runtime.update_container("c1", quota(5000))
        assert state.spec.linux.resources.cpu.quota.value == 5000
        assert state.requested.linux.resources == api.LinuxResources()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda r: r.create_container("nobody", container()), 'CreateContainer: no pod sandbox "nobody"'),
        (lambda r: r.start_container("nobody"), 'StartContainer: no container "nobody"'),
        (lambda r: r.stop_pod_sandbox("nobody"), 'StopPodSandbox: no pod sandbox "nobody"'),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, call: Callable[[Runtime], Any], text: str) -> None:
    with pytest.raises(CRIError, match=text):
        call(Runtime(tmp_path / "nri"))


@pytest.mark.parametrize(
    ("name", "version", "fails"),
    [
        ("cri-o", "1.33.12", False),
        ("cri-o", "1.33.13", True),
        ("cri-o", "1.34.0", True),
        ("containerd", "2.1.9", False),
    ],
)
def test_a_memory_limit_below_0_in_an_answer_fails_kubelets_update_on_newer_cri_o(
    name: str, version: str, fails: bool, tmp_path: Path
) -> None:
    lifts = api.LinuxResources(memory=api.LinuxMemory(limit={"value": -1}))
    script = {"UpdateContainer": api.UpdateContainerResponse(update=[update("c1", lifts)])}
    runtime = Runtime(tmp_path / "nri", runtime_name=name, runtime_version=version)
    with runtime, ScriptedPlugin(tmp_path / "nri", answers=script):
        runtime.wait_for_plugin()
        runtime.preload([pod()], [container()])
        if fails:
            with pytest.raises(CRIError, match=r"invalid memory limit: -1 bytes \(cannot be negative\)"):
                runtime.update_container("c1", quota(50_000))
        else:
            runtime.update_container("c1", quota(50_000))
        script["UpdateContainer"].update[0].linux.resources.memory.limit.value = 0x7FFFFFFFFFFFF000
        runtime.update_container("c1", quota(60_000))


def levels(runtime: Runtime) -> list[int]:
    return [level.cpu.quota.value for level in runtime.containers["c1"].levels]


@pytest.mark.parametrize("name", ["containerd", "cri-o"])
@pytest.mark.parametrize("crun", [False, True])
def test_crun_keeps_a_second_level_and_passes_over_a_quota_without_a_period(
    name: str, crun: bool, tmp_path: Path
) -> None:
    """containerd passes on all that it has stored, the period with it; CRI-O what the update names."""
    limited = api.LinuxResources(cpu=api.LinuxCPU(quota={"value": 50_000}, period={"value": 100_000}))
    with Runtime(tmp_path / "nri", runtime_name=name, kernel=KernelLimits(crun=crun)) as runtime:
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container(linux=api.LinuxContainer(resources=limited)))
        runtime.start_container("c1")
        assert levels(runtime) == [50_000] * (2 if crun else 1)
        runtime.update_container("c1", quota(-1))
        assert levels(runtime) == ([50_000, 50_000] if crun and name == "cri-o" else [-1] * (2 if crun else 1))
        limited.cpu.quota.value = -1
        runtime.update_container("c1", limited)
        assert levels(runtime) == [-1] * (2 if crun else 1)
