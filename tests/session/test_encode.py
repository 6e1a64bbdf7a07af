"""Decisions to NRI messages: each field where every runtime version takes it, set or absent, and never twice."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from koordnri.hook.context import ContainerContext
from koordnri.model import Container, Decision, Device, Event, Field, Mount, NodeState, Pod, Setting, fields
from koordnri.model.field import Adjust
from koordnri.model.fields import ALL, UNLIMITED, Part
from koordnri.model.resources import NOTHING
from koordnri.model.routes import ADJUST, REPLY, WRITE
from koordnri.policy import DEFAULT_POLICY
from koordnri.reconcile.plan import Update
from koordnri.session.encode import encode_update, put_adjustment, put_resources, without_unsendable
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import OLDEST, Version
from tests.field_walk import SAMPLES

NEWEST = Version(0, 12, 2)
NODE = NodeState(block_devices={"/dev/sda": "8:0", "/dev/sdb": "8:16"})
IO_LIMITS = "rbps=1048576 wbps=max riops=max wiops=max"


def setting(field: Field, value: Any, key: str = "", route: str = ADJUST) -> Setting:
    return Setting(field, key, value, "hook", "because", route)


def adjusted(*settings: Setting, nri: Version = NEWEST, node: NodeState = NODE) -> api.ContainerAdjustment:
    adjust = api.ContainerAdjustment()
    put_adjustment(adjust, settings, node, nri)
    return adjust


def updated(*settings: Setting, node: NodeState = NODE, period_us: int = 0) -> api.LinuxResources:
    resources = api.LinuxResources()
    put_resources(resources, settings, node, period_us)
    return resources


def cpu(**values: Any) -> api.LinuxResources:
    return api.LinuxResources(cpu=api.LinuxCPU(**values))


CARRIED = [f for f in ALL if f.adjust != "file"]
"""What messages have a place for."""
PLAIN = [
    (fields.CPU_CPUS, "0-3", cpu(cpus="0-3")),
    (fields.CPU_MEMS, "0", cpu(mems="0")),
    (fields.CPU_QUOTA, 50_000, cpu(quota={"value": 50_000})),
    (fields.CPU_QUOTA, UNLIMITED, cpu(quota={"value": -1})),
    (fields.CPU_QUOTA, 0, cpu(quota={"value": 0})),
    (fields.CPU_PERIOD, 100_000, cpu(period={"value": 100_000})),
    (fields.CPU_SHARES, 2, cpu(shares={"value": 2})),
    (fields.MEMORY_LIMIT, 1 << 40, api.LinuxResources(memory=api.LinuxMemory(limit={"value": 1 << 40}))),
    (fields.MEMORY_LIMIT, UNLIMITED, api.LinuxResources(memory=api.LinuxMemory(limit={"value": -1}))),
    (fields.MEMORY_MIN, 0, api.LinuxResources(unified={"memory.min": "0"})),
    (fields.MEMORY_LOW, 1 << 30, api.LinuxResources(unified={"memory.low": "1073741824"})),
    (fields.MEMORY_HIGH, UNLIMITED, api.LinuxResources(unified={"memory.high": "max"})),
    (fields.CPU_BURST, 20_000, api.LinuxResources(unified={"cpu.max.burst": "20000"})),
    (fields.MEMORY_OOM_GROUP, 1, api.LinuxResources(unified={"memory.oom.group": "1"})),
]
"""field, value, the resources that carry it: the same at create and in an update"""


@pytest.mark.parametrize(("field", "value", "message"), PLAIN)
def test_resources_carry_it_at_create_and_in_an_update(field, value, message):
    assert adjusted(setting(field, value)).linux.resources == message
    assert updated(setting(field, value, route=REPLY)) == message


def test_a_quota_of_zero_is_distinguished_from_no_quota():
    """On the wire a present sub-message means set, also with value 0: it is then zero bytes long, but there."""
    zero, unset = adjusted(setting(fields.CPU_QUOTA, 0)), adjusted(setting(fields.CPU_SHARES, 2))
    assert zero.linux.resources.cpu.HasField("quota")
    assert not unset.linux.resources.cpu.HasField("quota")
    assert api.ContainerAdjustment.FromString(zero.SerializeToString()).linux.resources.cpu.HasField("quota")


def test_what_is_not_decided_is_not_in_the_message():
    assert adjusted(setting(fields.CPU_CPUS, "0-3")) == api.ContainerAdjustment(
        linux=api.LinuxContainerAdjustment(resources=cpu(cpus="0-3"))
    )
    assert adjusted() in (api.ContainerAdjustment(), api.ContainerAdjustment(linux={"resources": {}}))


def test_environment_mounts_and_devices_are_added():
    adjust = adjusted(
        setting(fields.ENV, "0,1", "NVIDIA_VISIBLE_DEVICES"),
        setting(fields.ENV, "", "EMPTY"),
        setting(fields.MOUNT, Mount("/host/lock", options=("rbind", "rw")), "/tmp/lock"),
        setting(fields.DEVICE, Device("c", 195, 0, 0o660), "/dev/nvidia0"),
    )
    assert [(e.key, e.value) for e in adjust.env] == [("NVIDIA_VISIBLE_DEVICES", "0,1"), ("EMPTY", "")]
    [mount] = adjust.mounts
    assert (mount.destination, mount.source, mount.type) == ("/tmp/lock", "/host/lock", "bind")
    assert list(mount.options) == ["rbind", "rw"]
    [device] = adjust.linux.devices
    assert (device.path, device.type, device.major, device.minor) == ("/dev/nvidia0", "c", 195, 0)
    assert device.file_mode.value == 0o660


def test_cdi_devices_are_named_with_their_kind_and_each_once():
    """The runtime fails the container over a name that comes twice."""
    adjust = adjusted(
        setting(fields.CDI, "1,0,1", "nvidia.com/gpu"), setting(fields.CDI, "GPU-4cf8db2d", "amd.com/gpu")
    )
    assert [d.name for d in adjust.CDI_devices] == ["nvidia.com/gpu=1", "nvidia.com/gpu=0", "amd.com/gpu=GPU-4cf8db2d"]


@pytest.mark.parametrize(
    ("nri", "by_rdt"),
    [
        (OLDEST, False),
        (Version(0, 10, 0), False),
        (Version(0, 11, 0, final=False), False),
        (Version(0, 11, 0), True),
        (NEWEST, True),
    ],
)
def test_a_resctrl_group_goes_where_the_runtimes_version_takes_it_and_only_there(nri, by_rdt):
    adjust = adjusted(setting(fields.RDT_CLOSID, "BE"), nri=nri)
    assert adjust.linux.HasField("rdt") == by_rdt
    assert adjust.linux.resources.HasField("rdt_class") != by_rdt
    assert "BE" in (adjust.linux.rdt.clos_id.value, adjust.linux.resources.rdt_class.value)


def test_the_block_io_class_and_the_oom_score_are_set_as_they_are():
    adjust = adjusted(setting(fields.BLOCKIO_CLASS, "slow"), setting(fields.OOM_SCORE_ADJ, 0))
    assert adjust.linux.resources.blockio_class.value == "slow"
    assert adjust.linux.HasField("oom_score_adj")
    assert adjust.linux.oom_score_adj.value == 0


def test_disk_limits_name_the_device_by_its_numbers():
    assert adjusted(setting(fields.IO_MAX, IO_LIMITS, "/dev/sdb")).linux.resources.unified == {
        "io.max": f"8:16 {IO_LIMITS}"
    }
    bfq = NodeState(cgroup_files=frozenset({"io.bfq.weight"}), block_devices={"/dev/sda": "8:0"})
    assert updated(setting(fields.IO_WEIGHT, 50, "/dev/sda", REPLY), node=bfq).unified == {"io.bfq.weight": "8:0 50"}


@pytest.mark.parametrize("event", [Event.CREATE, Event.UPDATE])
def test_only_one_device_goes_by_the_runtime(event):
    """runc before 1.2 writes a unified value at once, and the kernel takes one device per write (runc issue 4182)."""
    pod = Pod("p1", "uid-1", "default", "web")
    ctx = ContainerContext(pod, Container("c1", "main", "p1", NOTHING), event, DEFAULT_POLICY, NODE, NODE.routes(event))
    ctx.hook, ctx.owns = "blkio", frozenset({fields.IO_MAX})
    for device in ("/dev/sda", "/dev/sdb"):
        ctx.set(fields.IO_MAX, IO_LIMITS, "because", device)
    settings = ctx.settings
    assert settings["io.max[/dev/sdb]"].route == WRITE
    assert adjusted(*settings.values()).linux.resources.unified == {"io.max": f"8:0 {IO_LIMITS}"}
    assert updated(*settings.values()).unified == {"io.max": f"8:0 {IO_LIMITS}"}


@pytest.mark.parametrize("field", CARRIED, ids=lambda f: f.name)
def test_what_is_written_by_ourselves_is_not_in_any_message(field):
    ours = setting(field, object(), "key" if field.keyed else "", WRITE)
    assert not adjusted(ours).ByteSize() or adjusted(ours) == api.ContainerAdjustment(linux={"resources": {}})
    assert not updated(ours).ByteSize()


VALUES: dict[Field, Any] = {
    **{field: SAMPLES[field.spelling] for field in CARRIED if field.spelling is not None},
    **{field: Part("", {"annotations": {field.name: "v"}}) for field in CARRIED if field.adjust is Adjust.PART},
    fields.ENV: "v",
    fields.MOUNT: Mount("/src"),
    fields.DEVICE: Device("c", 1, 2),
    fields.CDI: "0,1",
    fields.RDT_CLOSID: "BE",
    fields.BLOCKIO_CLASS: "slow",
    fields.OOM_SCORE_ADJ: 5,
    fields.PIDS_LIMIT: 5,
    fields.CPUS_ENV: "0-1",
    fields.CPUS_FILE: Mount("/x"),
}


@pytest.mark.parametrize("field", CARRIED, ids=lambda f: f.name)
def test_every_field_of_the_table_has_its_place_at_create(field):
    key = "/dev/sda" if field.keyed else ""
    assert adjusted(setting(field, VALUES[field], key)).ByteSize() > adjusted().ByteSize()


@pytest.mark.parametrize("field", [f for f in CARRIED if f.update], ids=lambda f: f.name)
def test_every_field_that_an_update_can_carry_has_its_place_there(field):
    key = "/dev/sda" if field.keyed else ""
    assert updated(setting(field, VALUES[field], key, REPLY)).ByteSize() > 0


def test_what_an_update_cannot_carry_is_passed_over():
    unable = [setting(f, VALUES[f], "k" if f.keyed else "", REPLY) for f in CARRIED if not f.update]
    assert (
        updated(*[s for s in unable if s.field not in (fields.BLOCKIO_CLASS, fields.PIDS_LIMIT)])
        == api.LinuxResources()
    )


def test_a_whole_decision_sets_nothing_twice():
    """The runtime fails the container over any second claim of one field or key, also within one reply."""
    # Two fields have the environment, and two the mounts: each with keys of its own.
    keys_of = {fields.CPUS_ENV: "CPUS", fields.CPUS_FILE: "/run/cpus"}
    everything = [setting(f, VALUES[f], keys_of.get(f, "/dev/sda") if f.keyed else "") for f in CARRIED]
    everything += [setting(fields.ENV, "w", "OTHER")]
    adjust = adjusted(*everything, nri=NEWEST)
    keys = [e.key for e in adjust.env]
    assert sorted(keys) == sorted(set(keys))
    assert (len(adjust.mounts), len(adjust.linux.devices)) == (2, 1)
    assert not adjust.linux.resources.HasField("rdt_class"), "the closid would be set twice, by two names"
    assert set(adjust.linux.resources.unified) == {f.v2[0] for f in CARRIED if f.adjust is Adjust.UNIFIED}


def test_parts_of_an_adjustment_are_put_together() -> None:
    limits = [{"type": f"RLIMIT_{name}", "soft": 1, "hard": 2} for name in ("CORE", "NOFILE")]
    parts = [setting(fields.RLIMIT, Part("", {"rlimits": [limit]}), limit["type"]) for limit in limits]
    device = setting(fields.INJECTED_DEVICE, Part("", {"linux": {"devices": [{"path": "/dev/y"}]}}), "/dev/y")
    adjust = adjusted(*parts, device, setting(fields.DEVICE, Device("c", 1, 2), "/dev/x"))
    assert [limit.type for limit in adjust.rlimits] == ["RLIMIT_CORE", "RLIMIT_NOFILE"]
    assert {d.path for d in adjust.linux.devices} == {"/dev/x", "/dev/y"}


def test_a_part_that_no_message_has_costs_only_itself() -> None:
    bad = setting(fields.RLIMIT, Part("", {"rlimits": [{"type": "RLIMIT_CORE", "soft": -1}]}), "RLIMIT_CORE")
    good = setting(fields.ENV, "v", "A")
    decision = Decision(settings=MappingProxyType({"rlimit[RLIMIT_CORE]": bad, "env[A]": good}))
    left = without_unsendable(decision, NODE, NEWEST)
    assert (list(left.settings), left.errors[0].fault) == (["env[A]"], "bug")


@pytest.mark.parametrize("none", [UNLIMITED, 0])
def test_a_memory_limit_that_is_none_is_reported_as_the_runtime_takes_it(none: int) -> None:
    """CRI-O fails kubelet's update over a negative one, and takes 0 for nothing set."""
    crio = NodeState(no_limit_bytes=0x7FFFFFFFFFFFF000)
    lifted = setting(fields.MEMORY_LIMIT, none, route=REPLY)
    for resources in (updated(lifted, node=crio), adjusted(lifted, node=crio).linux.resources):
        assert resources.memory.limit.value == 0x7FFFFFFFFFFFF000
    limited = setting(fields.MEMORY_LIMIT, 1 << 30, route=REPLY)
    assert updated(limited, node=crio) == updated(limited)


def test_a_quota_that_is_none_goes_with_its_period() -> None:
    """crun ignores -1 without one."""
    lifted = setting(fields.CPU_QUOTA, UNLIMITED, route=REPLY)
    assert updated(lifted, period_us=10_000) == cpu(quota={"value": -1}, period={"value": 10_000})
    decided = setting(fields.CPU_PERIOD, 50_000, route=REPLY)
    assert updated(lifted, decided, period_us=10_000) == cpu(quota={"value": -1}, period={"value": 50_000})
    assert updated(lifted) == cpu(quota={"value": -1}), "where kubelet asks for a period itself"
    limited = setting(fields.CPU_QUOTA, 50_000, route=REPLY)
    assert updated(limited, period_us=10_000) == cpu(quota={"value": 50_000})


def test_an_update_of_another_container_has_its_own_period() -> None:
    update = encode_update(Update("c2", "p1", (setting(fields.CPU_QUOTA, UNLIMITED, route=REPLY),), 20_000), NODE)
    assert (update.container_id, update.ignore_failure) == ("c2", True)
    assert update.linux.resources == cpu(quota={"value": -1}, period={"value": 20_000})
