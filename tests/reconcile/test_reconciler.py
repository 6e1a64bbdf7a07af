"""Passes of the reconciler over a fake node: what follows a change, what goes back, what is left alone, and what of a refusal."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.chain import load_hooks
from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Pod, Resources
from koordnri.model.annotations import DEVICE_ALLOCATED
from koordnri.model.node import Resctrl
from tests.examples import examples
from tests.reconcile.fake_node import (
    DISKS,
    HALVED,
    MIB,
    OFF,
    Counting,
    FakeNode,
    be_disks,
    busy_node,
    pinned_to,
    statuses,
)
from tests.reconcile.fake_node import quotas_of as quotas

BOTH = pytest.mark.parametrize("version", [1, 2])


# -- what follows -----------------------------------------------------------------------------------------------------


@BOTH
def test_a_policy_change_reaches_the_files_of_all_containers_and_pods(version):
    node = busy_node(version)
    node.run_pass()
    node.set_policy(**HALVED)
    outcomes = node.run_pass()
    assert statuses(outcomes) == {Status.SAME, Status.WRITTEN}
    assert quotas(node) == {
        "batch": 37_500,
        "batch-main": 25_000,
        "batch-side": 12_500,
        "plain": 37_500 if version == 2 else 75_000,  # see cfs_quota.V1_POD
        "plain-main": 25_000,
        "plain-side": 12_500,
        "shared": 50_000 if version == 2 else 100_000,
        "shared-main": 50_000,
        "free-limited": 25_000,
    }
    assert node.kernel.violations == []
    assert (
        node.reconciler.stats.writes["cpu.quota", "written"] == (9 if version == 2 else 7) + 2
    )  # and the first pass's: a pinned and a batch pod
    assert node.warnings() == []


@BOTH
def test_pods_themselves_get_what_nri_cannot_give_them(version):
    """A pinned pod's quota is lifted, a batch pod gets the sums of its containers: else their cgroups would cap the containers."""
    node = busy_node(version)
    assert node.kernel.cgroups["kubepods/pinned"].quota == 200_000
    node.run_pass()
    pinned, batch = node.kernel.cgroups["kubepods/pinned"], node.kernel.cgroups["kubepods/besteffort/batch"]
    assert (pinned.quota, pinned.limit) == (None, 64 * MIB)
    assert (batch.quota, batch.limit) == (75_000, 128 * MIB)
    assert (batch.shares if version == 1 else batch.weight) == (768 if version == 1 else 30)


def test_files_that_need_no_change_keep_their_time_of_change(tmp_path: Path):
    """The same on real files, as the writer without a fake kernel sees them."""
    node = FakeNode(2)
    node.container(node.pod("p", cpu_quota=80_000), cpu_quota=80_000)
    for path, text in node.files().items():
        file = tmp_path / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
        os.utime(file, (1, 1))
    node.machine.writer = lambda version: Writer(tmp_path, version)
    node.set_policy(**HALVED)

    def changed() -> set[str]:
        return {str(f.relative_to(tmp_path / "sys/fs/cgroup")) for f in tmp_path.rglob("*.*") if f.stat().st_mtime > 1}

    node.run_pass()
    assert changed() == {"kubepods/burstable/p/cpu.max", "kubepods/burstable/p/p-main/cpu.max"}
    for path in changed():
        assert (tmp_path / "sys/fs/cgroup" / path).read_text() == "40000 100000"
        os.utime(tmp_path / "sys/fs/cgroup" / path, (1, 1))
    assert statuses(node.run_pass("asked")) == {Status.SAME}
    assert changed() == set()


def test_a_disk_that_is_gone_took_its_limits_with_it():
    node = FakeNode()
    node.set_policy(**be_disks("/dev/sda", "/dev/sdb"))
    node.container(node.pod("p", kube="BestEffort"))
    node.run_pass()
    node.state = type(node.state)(name="n", block_devices={"/dev/sda": DISKS["/dev/sda"]})
    node.kernel.log.clear()
    assert statuses(node.run_pass("asked")) == {Status.SAME}
    assert node.kernel.log == []
    assert node.warnings() == []


def test_what_can_only_be_set_at_creation_is_never_a_file():
    node = FakeNode()
    node.state = type(node.state)(
        name="n", resctrl=Resctrl("intel", 0x7FF, 16, (0,), frozenset({"BE", "LS"})), block_devices=DISKS
    )
    resctrl = {"resource_qos_config": {"clusterStrategy": {"lsClass": {"resctrlQOS": {"enable": True}}}}}
    classes = {"clusterStrategy": {"hooks": {"blkio": {"className": {"ls": "slow"}}}}}
    node.set_policy(**resctrl, koordnri_config=classes)
    gpu = {DEVICE_ALLOCATED.key: '{"gpu": [{"minor": 1}]}'}
    directory = node.container(node.pod("p", annotations=gpu))
    decided = node.ledger.entries()[0].sent
    assert decided.keys() == {"rdt.closid", "blockio.class", "env[NVIDIA_VISIBLE_DEVICES]"}
    for policy in ({}, resctrl, {}):
        node.set_policy(**policy)
        assert node.run_pass() == []
    assert node.kernel.log == []
    assert directory in node.kernel.cgroups
    assert node.ledger.all_originals() == {}


# -- back -------------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("off", [{}, OFF], ids=["feature", "hook"])
def test_switching_off_gives_containers_their_baseline_and_pods_what_they_had(version, off):
    node = busy_node(version)
    before = node.files()
    created_pinned = node.kernel.cgroups["kubepods/pinned/pinned-main"]
    node.set_policy(**HALVED)
    node.run_pass()
    assert node.files() != before
    node.set_policy(**off)
    node.run_pass()
    assert node.kernel.violations == []
    if off:
        # Of what kubelet asked for itself: the pinned container's quota was lifted when it was created.
        assert created_pinned.quota == 200_000
        created_pinned.quota = None
        batch = [c for path, c in node.kernel.cgroups.items() if "batch" in path and not path.endswith("/batch/batch")]
        assert [(c.quota, c.shares if version == 1 else c.weight) for c in batch] == [
            (None, 1024 if version == 1 else 100),
            *[(None, 512 if version == 1 else 20)] * 2,
        ]
        assert {name for fields in node.ledger.all_originals().values() for name in fields} == {
            "memory.limit",
            "cpu.cpus",
        }
    left = {path: text for path, text in node.files().items() if "batch" not in path and "pinned" not in path}
    assert left == {path: before[path] for path in left}
    created_pinned.quota = 200_000 if off else None
    node.kernel.log.clear()
    assert statuses(node.run_pass("asked")) == {Status.SAME}
    assert node.kernel.log == []


def test_a_pod_that_is_not_pinned_any_more_gets_back_the_quota_that_it_had_and_is_forgotten():
    node = FakeNode()
    pod = node.pod("p", "LSR", "Guaranteed", pinned_to("2,3"), reported=Resources(cpu_quota=1), cpu_quota=200_000)
    node.run_pass()
    assert node.ledger.originals(pod.id) == {"cpu.quota": 200_000, "cpu.cpus": "0-7"}
    node.set_policy(koordnri_config={"clusterStrategy": {"hooks": {"cpuset": {"mode": "off"}}}})
    node.run_pass()
    assert node.kernel.cgroups["kubepods/p"].quota == 200_000, "and not what NRI reported"
    assert node.ledger.originals(pod.id) == {}


@BOTH
def test_a_restarted_daemon_takes_back_what_the_one_before_had_written(version):
    node = busy_node(version)
    node.run_pass()
    before = node.files()
    node.set_policy(**HALVED)
    node.run_pass()
    after = node.files()

    node = node.restarted()
    assert statuses(node.run_pass("asked")) == {Status.SAME}, "a pod's quota is not halved again"
    assert node.files() == after
    node.set_policy()
    node = node.restarted()
    node.run_pass()
    assert node.files() == before


def test_a_daemon_that_lost_its_state_directory_scales_no_pod_twice_and_gives_kubelets_quota_back():
    """On v2, for on v1 pods keep kubelet's."""
    node = FakeNode(2)
    both = node.pod("both", cpu_quota=90_000)
    node.container(both, "a", cpu_quota=60_000)
    node.container(both, "b", cpu_quota=30_000)
    one = node.pod("one", reported=Resources(cpu_quota=60_000))
    node.container(one, "a", cpu_quota=60_000)
    node.container(one, "b")
    pinned = node.pod("pinned", kube="Guaranteed", qos="LSR", annotations=pinned_to("2,3"), cpu_quota=200_000)
    node.container(pinned, cpu_quota=200_000, cpu_shares=2048)
    other = node.pod("other", cpu_quota=33_000)
    node.container(other, cpu_quota=60_000)
    node.set_policy(**HALVED)
    node.run_pass()
    assert quotas(node)["both"] == 45_000
    assert "one" not in quotas(node), "kubelet sets none where a container has none"
    assert "pinned" not in quotas(node)
    after = node.files()

    node = node.restarted(lost=True)
    node.run_pass()
    differs = {path for path, text in node.files().items() if after[path] != text}
    assert differs <= {"kubepods/burstable/other/cpu.max"}, "which is neither kubelet's sum nor what we make of it"
    node.set_policy(koordnri_config={"clusterStrategy": {"hooks": {"cfs_quota": {"mode": "off"}}}})
    node.run_pass()
    assert quotas(node)["both"] == 90_000
    assert not {"one", "pinned"} & quotas(node).keys(), "no limit may be kubelet's own"


def test_a_container_that_crashes_and_is_made_again_is_no_resize_of_its_pod():
    """On v2, as above. Kubelet's quota of the pod is the sum of those that are to run."""
    node = FakeNode(2)
    pod = node.pod("p", cpu_quota=90_000)
    node.container(pod, "a", cpu_quota=60_000)
    node.container(pod, "b", cpu_quota=30_000)
    node.set_policy(**HALVED)
    node.run_pass()
    assert quotas(node)["p"] == 45_000
    node.ledger.forget_container("p-b")
    node.run_pass("pod")
    assert (quotas(node)["p"], node.ledger.originals("p")["cpu.quota"]) == (45_000, 90_000)
    node.container(pod, "b", cpu_quota=30_000)
    node.container(pod, "b-again", cpu_quota=30_000)
    node.run_pass("pod")
    assert (quotas(node)["p"], node.ledger.originals("p")["cpu.quota"]) == (45_000, 90_000)
    node.set_policy()
    node.run_pass()
    assert quotas(node)["p"] == 90_000


# -- the pod's baseline -----------------------------------------------------------------------------------------------


# -- what goes wrong --------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_cgroup_that_vanished_is_no_error_and_costs_nobody_else(version, moment):
    node = FakeNode(version)
    gone, kept = (node.container(node.pod(name), cpu_quota=80_000) for name in ("gone", "kept"))
    node.set_policy(**HALVED)
    if moment == "before":
        del node.kernel.cgroups[gone]
    else:
        node.kernel.before_write = lambda path, text: node.kernel.cgroups.pop(gone, None) and None
    by_directory = {o.change.directory: o.status for o in node.run_pass()}
    assert by_directory == {gone: Status.GONE, kept: Status.WRITTEN}
    assert node.warnings() == []
    assert node.reconciler.stats.writes == {("cpu.quota", "written"): 1}
    assert node.ledger.all_originals() == {"kept-main": {"cpu.quota": 80_000}}


@BOTH
@pytest.mark.parametrize("reported", ["stopped", "unreported"])
def test_a_pod_that_ended_while_a_container_of_it_was_created_is_gone_at_the_next_pass(version, reported):
    """kubelet removes the cgroup of a pod that it knows no more while its other thread is at CreateContainer."""
    gone: list[str] = []

    def forget(pod: Pod) -> None:
        gone.append(pod.id)
        node.ledger.forget_pod(pod.id)

    node = FakeNode(version, pod_gone=forget)
    pod, _ = node.pod("p", cpu_quota=80_000), node.pod("stays")
    node.run_pass("sweep")
    if reported == "stopped":
        node.ledger.forget_pod("p")
    for path in [path for path in node.kernel.cgroups if path.startswith("kubepods/burstable/p")]:
        del node.kernel.cgroups[path]
    node.run_pass("sweep")
    node.run_pass()
    assert [p.id for p in node.ledger.pods()] == ["stays"]
    gone.clear()

    node.ledger.remember_pod(pod)
    late = node.container(pod, cpu_quota=80_000)
    del node.kernel.cgroups[late]  # its start fails, and makes none
    node.run_pass()

    assert gone == ["p"]
    assert [p.id for p in node.ledger.pods()] == ["stays"]


def test_a_pod_that_is_reported_again_and_has_its_cgroup_is_not_gone():
    node = FakeNode()
    pod = node.pod("p", cpu_quota=80_000)
    node.run_pass("sweep")
    node.ledger.forget_pod("p")
    node.run_pass()
    node.ledger.remember_pod(pod)
    for trigger in ("change", "sweep"):
        node.run_pass(trigger)
        assert node.ledger.pod("p") is pod


# -- drift ------------------------------------------------------------------------------------------------------------


# -- numbers ----------------------------------------------------------------------------------------------------------


# -- any policies -----------------------------------------------------------------------------------------------------

percents = st.sampled_from([0, 20, 50, 100])
modes = st.fixed_dictionaries({"mode": st.sampled_from(["enforce", "off"])})
memory_qos = st.fixed_dictionaries(
    {"enable": st.booleans(), "minLimitPercent": percents, "lowLimitPercent": percents, "throttlingPercent": percents}
)
blocks = st.lists(
    st.tuples(st.sampled_from(sorted(DISKS)), st.sampled_from([0, 1024, 4096]), st.sampled_from([20, 100])),
    unique_by=lambda block: DISKS[block[0]],
    max_size=2,
)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """A document that touches every feature whose files a pass writes."""
    be_blocks = [{"name": d, "ioCfg": {"readBPS": bps, "ioWeightPercent": weight}} for d, bps, weight in draw(blocks)]
    hooks = {name: draw(modes) for name in ("cpuset", "cfs_quota", "memory", "blkio")}
    hooks["cpuset"]["keepQuota"] = draw(st.booleans())
    ratio = draw(st.sampled_from([1.0, 1.3, 2.0, 5.0]))
    return {
        "cpu_normalization_config": {"enable": draw(st.booleans()), "defaultRatio": ratio},
        "resource_threshold_config": {
            "clusterStrategy": {"enable": draw(st.booleans()), "cpuSuppressPolicy": "cfsQuota"}
        },
        "resource_qos_config": {
            "clusterStrategy": {
                "lsrClass": {"memoryQOS": draw(memory_qos)},
                "lsClass": {"memoryQOS": draw(memory_qos)},
                "beClass": {"memoryQOS": draw(memory_qos), "blkioQOS": {"enable": True, "blocks": be_blocks}},
            }
        },
        "koordnri_config": {"clusterStrategy": {"hooks": hooks}},
    }


def effective(files: dict[str, str]) -> dict[str, str]:
    """A cpuset that was set cannot be cleared while processes run in it, so all CPUs are as good as none of its own."""
    everything = ",".join(map(str, range(8)))
    return {p: everything if p.endswith("cpuset.cpus") and not t else t for p, t in files.items()}


@BOTH
@settings(max_examples=examples(40), deadline=None)
@given(first=policies(), others=st.lists(policies(), min_size=1, max_size=2), restart=st.booleans())
def test_through_any_policies_and_back_the_files_are_what_they_were(version, first, others, restart):
    node = busy_node(version, first)
    node.run_pass()
    before = effective(node.files())
    for policy in others:
        node.set_policy(**policy)
        node.run_pass()
        node.kernel.log.clear()
        assert statuses(node.run_pass("sweep")) <= {Status.SAME}
        assert node.kernel.log == []
        node = node.restarted() if restart else node
    node.set_policy(**first)
    node.run_pass()
    assert effective(node.files()) == before
    assert node.warnings() == []
    assert not node.reconciler.undone.counts
    assert not [v for v in node.kernel.violations if ": min " not in v and ": low " not in v]


# -- a node at rest ---------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("also", ["cpu_quota", "memory_limit"])
def test_a_sweep_sees_that_kubelet_resized_a_pod_of_which_nothing_was_reported(version, also):
    counting = Counting()
    fixed: dict[str, Any] = {}
    node = FakeNode(
        version,
        hooks=[*load_hooks(), counting],
        world=lambda world: world._replace(snapshot=fixed.setdefault("it", world.snapshot)),
    )
    pod = node.pod("p", cpu_quota=80_000, memory_limit=64 * MIB)
    node.container(pod, cpu_quota=80_000, memory_limit=64 * MIB)
    for _ in range(3):
        node.run_pass("sweep")
    assert node.run_pass("sweep") == []
    asked = counting.asked
    c = node.kernel.cgroups["kubepods/burstable/p"]
    if also == "cpu_quota":
        c.quota = 90_000
    else:
        c.limit = 128 * MIB
    node.run_pass("sweep")
    assert counting.asked == asked + 1


@BOTH
def test_a_file_that_was_right_and_then_refuses_is_tried_again_before_the_next_sweep(version):
    node = FakeNode(version)
    node.set_policy(**HALVED)
    directory = node.container(node.pod("p", cpu_quota=80_000), cpu_quota=80_000)
    for _ in range(2):
        node.run_pass("sweep")
    node.kernel.cgroups[directory].quota = 10_000

    def busy(path: str, text: str) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)

    node.kernel.before_write = busy
    assert Status.REFUSED in statuses(node.run_pass("sweep"))
    node.kernel.before_write = lambda path, text: None
    node.run_pass("pod")
    assert quotas(node)["p-main"] == 40_000


def test_each_pod_of_a_pass_is_handed_on_to_whom_looks_for_what_it_says_to_nobody() -> None:
    heard: list[tuple[str, str]] = []
    node = FakeNode(decided_again=lambda pod, container, decision: heard.append((pod.name, container)))
    node.container(node.pod("shared", "LS"))
    node.run_pass()
    assert heard == [("shared", "")]
