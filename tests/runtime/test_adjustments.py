"""Conflicts and merging of the plugins' adjustments of one container (nri.md 4)."""

import pytest

from koordnri.runtime import LATEST
from koordnri.runtime.adjustments import Adjustments
from koordnri.runtime.errors import Conflict
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.runtime.one_request import Adjust, answer, cpu, flag, i64, linux, memory, request, resources, text, u64
from tests.runtime.scripted_plugin import adjusting, quota, update

CLAIMS = [
    ("Annotations k", Adjust(annotations={"k": "v"})),
    ("Mounts /m", Adjust(mounts=[api.Mount(destination="/m")])),
    ("Env A", Adjust(env=[api.KeyValue(key="A", value="1")])),
    ("Args", Adjust(args=["sh"])),
    ("Rlimits RLIMIT_NOFILE", Adjust(rlimits=[api.POSIXRlimit(type="RLIMIT_NOFILE", hard=1)])),
    ("CdiDevices v/c=d", Adjust(CDI_devices=[api.CDIDevice(name="v/c=d")])),
    ("Devices /dev/x", linux(devices=[api.LinuxDevice(path="/dev/x")])),
    ("CgroupsPath", linux(cgroups_path="/c")),
    ("OomScoreAdj", linux(oom_score_adj=api.OptionalInt(value=0))),
    ("IoPriority", linux(io_priority=api.LinuxIOPriority())),
    ("SeccompPolicy", linux(seccomp_policy=api.LinuxSeccomp())),
    ("Namespace network", linux(namespaces=[api.LinuxNamespace(type="network")])),
    ("Sysctl a.b", linux(sysctl={"a.b": "1"})),
    ("LinuxNetDevices eth1", linux(net_devices={"eth1": api.LinuxNetDevice(name="x")})),
    ("LinuxSched", linux(scheduler=api.LinuxScheduler())),
    ("RdtClosID", linux(rdt=api.LinuxRdt(clos_id=text(value="g")))),
    ("RdtSchemata", linux(rdt=api.LinuxRdt(schemata=api.OptionalRepeatedString()))),
    ("RdtEnableMonitoring", linux(rdt=api.LinuxRdt(enable_monitoring=flag()))),
    ("MemoryPolicy", linux(memory_policy=api.LinuxMemoryPolicy())),
    ("MemLimit", memory(limit=i64(value=1))),
    ("MemReservation", memory(reservation=i64())),
    ("MemSwapLimit", memory(swap=i64())),
    ("MemKernelLimit", memory(kernel=i64())),
    ("MemTCPLimit", memory(kernel_tcp=i64())),
    ("MemSwappiness", memory(swappiness=u64())),
    ("MemDisableOomKiller", memory(disable_oom_killer=flag())),
    ("MemUseHierarchy", memory(use_hierarchy=flag())),
    ("CPUShares", cpu(shares=u64())),
    ("CPUQuota", cpu(quota=i64())),
    ("CPUPeriod", cpu(period=u64())),
    ("CPURealtimeRuntime", cpu(realtime_runtime=i64())),
    ("CPURealtimePeriod", cpu(realtime_period=u64())),
    ("CPUSetCPUs", cpu(cpus="0")),
    ("CPUSetMems", cpu(mems="0")),
    ("PidsLimit", resources(pids=api.LinuxPids())),
    ("HugepageLimits 2MB", resources(hugepage_limits=[api.HugepageLimit(page_size="2MB")])),
    ("BlockioClass", resources(blockio_class=text())),
    ("RdtClass", resources(rdt_class=text())),
    ("CgroupsUnified memory.high", resources(unified={"memory.high": "1"})),
]


@pytest.mark.parametrize(("what", "adjust"), CLAIMS)
def test_a_second_claim_fails_whoever_makes_it(what: str, adjust: Adjust) -> None:
    for second in ("10-b", "05-a"):
        merged = Adjustments(request(), LATEST)
        merged.apply(answer(adjust), "05-a")
        assert merged.owners.of("c1") == {what: "05-a"}
        with pytest.raises(Conflict) as caught:
            merged.apply(answer(adjust), second)
        name, _, key = what.partition(" ")
        assert str(caught.value) == f'plugins "{second}" and "05-a" both tried to set {name} {key}'


@pytest.mark.parametrize(
    "adjust",
    [
        Adjust(hooks=api.Hooks(prestart=[api.Hook(path="/h")])),
        resources(devices=[api.LinuxDeviceCgroup(allow=True, type="c")]),
        cpu(cpus=""),
        linux(cgroups_path=""),
        Adjust(),
    ],
)
def test_these_never_conflict(adjust: Adjust) -> None:
    merged = Adjustments(request(), LATEST)
    merged.apply(answer(adjust), "05-a")
    merged.apply(answer(adjust), "10-b")
    merged.apply(api.CreateContainerResponse(), "10-b")


def test_arguments_are_taken_over_by_an_empty_first_one() -> None:
    merged = Adjustments(request(args=["app"]), LATEST)
    merged.apply(adjusting(args=["wrapper", "app"]), "05-a")
    merged.apply(adjusting(args=["", "other"]), "10-b")
    assert list(merged.adjust.args) == ["other"]


def test_rdt_is_taken_over_by_remove() -> None:
    merged = Adjustments(request(), LATEST)
    merged.apply(answer(linux(rdt=api.LinuxRdt(clos_id=text(value="a")))), "05-a")
    merged.apply(answer(linux(rdt=api.LinuxRdt(remove=True, clos_id=text(value="b")))), "10-b")
    assert merged.adjust.linux.rdt == api.LinuxRdt(clos_id=text(value="b"))


def test_rdt_class_and_closid_are_not_seen_to_conflict() -> None:
    merged = Adjustments(request(), LATEST)
    merged.apply(answer(linux(rdt=api.LinuxRdt(clos_id=text(value="a")))), "05-a")
    merged.apply(answer(resources(rdt_class=text(value="b"))), "10-b")


# -- what later plugins see ---------------------------------------------------------------------------------------------


def test_later_plugins_see_what_earlier_ones_did() -> None:
    asked = request(
        env=["A=0", "B=0"],
        args=["app"],
        annotations={"k": "0"},
        mounts=[api.Mount(destination="/m", source="0"), api.Mount(destination="/n", source="0")],
        linux=api.LinuxContainer(devices=[api.LinuxDevice(path="/dev/x", major=1)]),
    )
    merged = Adjustments(asked, LATEST)
    adjust = Adjust(
        env=[api.KeyValue(key="A", value="1"), api.KeyValue(key="-B"), api.KeyValue(key="C", value="1")],
        args=["wrapper"],
        annotations={"k": "1", "l": "1"},
        mounts=[api.Mount(destination="/m", source="1"), api.Mount(destination="-/n")],
    )
    adjust.linux.devices.add(path="/dev/x", major=2)
    adjust.linux.resources.cpu.cpus = "1-2"
    adjust.linux.resources.unified["memory.high"] = "1"
    adjust.linux.oom_score_adj.value = 5
    adjust.linux.memory_policy.nodes = "0"
    adjust.linux.rdt.clos_id.value = "g"
    merged.apply(answer(adjust), "05-a")
    seen = asked.container
    assert list(seen.env) == ["A=1", "C=1"]
    assert list(seen.args) == ["wrapper"]
    assert dict(seen.annotations) == {"k": "1", "l": "1"}
    assert [(m.destination, m.source) for m in seen.mounts] == [("/m", "1")]
    assert [(d.path, d.major) for d in seen.linux.devices] == [("/dev/x", 2)]
    assert seen.linux.resources.cpu.cpus == "1-2"
    assert dict(seen.linux.resources.unified) == {"memory.high": "1"}
    assert seen.linux.oom_score_adj.value == 5
    assert not seen.linux.HasField("rdt")


def test_zero_is_set_and_shown_as_set() -> None:
    asked = request()
    merged = Adjustments(asked, LATEST)
    merged.apply(answer(cpu(quota=i64(value=0))), "05-a")
    assert asked.container.linux.resources.cpu.HasField("quota")
    assert merged.adjust.linux.resources.cpu.HasField("quota")


@pytest.mark.parametrize(("version", "forwarded"), [(Version(0, 6, 1), False), (Version(0, 7, 0), True)])
def test_a_mount_of_the_spec_can_be_removed_since_0_7(version: Version, forwarded: bool) -> None:
    merged = Adjustments(request(mounts=[api.Mount(destination="/m")]), version)
    merged.apply(adjusting(mounts=[api.Mount(destination="-/m")]), "05-a")
    assert [m.destination for m in merged.adjust.mounts] == (["-/m"] if forwarded else [])


# -- updates ------------------------------------------------------------------------------------------------------------


def test_of_several_conflicts_the_first_in_gos_order_is_reported() -> None:
    both = linux(scheduler=api.LinuxScheduler(), sysctl={"a": "1"}, namespaces=[api.LinuxNamespace(type="ipc")])
    merged = Adjustments(request(), LATEST)
    merged.apply(answer(both), "05-a")
    with pytest.raises(Conflict, match="both tried to set Namespace ipc"):
        merged.apply(answer(both), "10-b")


def test_the_container_under_creation_must_not_be_updated() -> None:
    merged = Adjustments(request(), LATEST)
    with pytest.raises(Conflict, match=r'^plugin "05-a" asked update of "c1" during creation$'):
        merged.apply(api.CreateContainerResponse(update=[update("c1", quota(1))]), "05-a")
