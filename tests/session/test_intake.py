"""What is kept of a Synchronize: all that a decision reads, and nothing that hangs on to the rest."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError

from koordnri.cpus.dra import dra_cpus
from koordnri.model.resources import BASELINE_KEY, Note, Resources, encode_note
from koordnri.session.given import given_to
from koordnri.session.intake import Intake
from koordnri.session.translate import container_from, note_of, pod_from
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views

KUBELET = "/var/lib/kubelet/pods/u1"


def container(**more: object) -> api.Container:
    """One with something of everything."""
    note = encode_note(Note(Resources(cpu_quota=50_000), {"cpu.quota": 25_000}))
    message = api.Container(
        id="c1",
        pod_sandbox_id="p1",
        name="main",
        state=api.CONTAINER_RUNNING,
        labels={"a": "b"},
        annotations={BASELINE_KEY: note, "io.kubernetes.cri.image-name": "x"},
        args=["sleep"],
        env=["PATH=/bin", "DRA_CPUSET_claim=2-3", "BIG=" + "x" * 1000],
        mounts=[
            api.Mount(destination="/data", source=f"{KUBELET}/volumes/kubernetes.io~csi/pv/mount", type="bind"),
            api.Mount(destination="/sub", source=f"{KUBELET}/volume-subpaths/data/main/0", type="bind"),
            api.Mount(destination="/proc", source="proc", type="proc"),
            api.Mount(destination="/etc/hosts", source=f"{KUBELET}/etc-hosts", type="bind"),
        ],
    )
    linux = message.linux
    linux.resources.cpu.quota.value = 25_000
    linux.resources.unified["memory.high"] = "1"
    linux.devices.add(path="/dev/null", type="c", major=1, minor=3)
    linux.devices.add(path="/dev/xvda", type="b", major=8, minor=16)
    return message


def taken(*parts: api.SynchronizeRequest) -> Intake:
    intake = Intake()
    assert [intake.take(part.SerializeToString()) for part in parts] == [part.more for part in parts]
    return intake


def test_what_a_decision_reads_is_what_it_was() -> None:
    whole = views.Container.FromString(container().SerializeToString())
    (kept,) = taken(api.SynchronizeRequest(containers=[container()])).containers
    reported, before = container_from(kept), container_from(whole)
    assert (reported.id, reported.name, reported.pod_id) == (before.id, before.name, before.pod_id)
    assert (reported.baseline, reported.stored) == (before.baseline, before.stored)
    assert note_of(kept) == note_of(whole)
    assert kept.state == whole.state
    assert dra_cpus(kept.env) == dra_cpus(whole.env)
    assert given_to(kept) == given_to(whole) == {"/data": "pv", "/sub": "data", "/dev/xvda": "8:16"}


def test_environment_mounts_devices_and_annotations_that_nobody_reads_are_dropped() -> None:
    (kept,) = taken(api.SynchronizeRequest(containers=[container()])).containers
    assert list(kept.env) == ["DRA_CPUSET_claim=2-3"]
    assert list(kept.annotations) == [BASELINE_KEY]
    assert [mount.destination for mount in kept.mounts] == ["/data", "/sub"]
    assert [device.path for device in kept.linux.devices] == ["/dev/xvda"]
    assert kept.ByteSize() < 500


def test_a_container_without_our_annotation_has_none_afterwards() -> None:
    (kept,) = taken(api.SynchronizeRequest(containers=[api.Container(id="c1")])).containers
    assert not kept.annotations
    assert note_of(kept) is None


def test_pods_are_kept_whole() -> None:
    sandbox = api.PodSandbox(
        id="p1",
        uid="u1",
        name="web",
        namespace="shop",
        labels={"a": "b"},
        annotations={"k": "v"},
        runtime_handler="kata",
    )
    sandbox.linux.cgroup_parent = "/kubepods/podu1"
    sandbox.linux.pod_resources.cpu.shares.value = 512
    (kept,) = taken(api.SynchronizeRequest(pods=[sandbox])).pods
    assert pod_from(kept) == pod_from(views.PodSandbox.FromString(sandbox.SerializeToString()))


def test_parts_are_put_together_and_counted() -> None:
    first = api.SynchronizeRequest(pods=[api.PodSandbox(id="p1")], containers=[api.Container(id="c1")], more=True)
    second = api.SynchronizeRequest(containers=[api.Container(id="c2")])
    intake = taken(first, second)
    assert [pod.id for pod in intake.pods] == ["p1"]
    assert [kept.id for kept in intake.containers] == ["c1", "c2"]
    assert (intake.parts, intake.received_bytes) == (2, first.ByteSize() + second.ByteSize())


def test_nothing_is_kept_of_a_part_that_cannot_be_decoded() -> None:
    intake = taken(api.SynchronizeRequest(pods=[api.PodSandbox(id="p1")], more=True))
    with pytest.raises(DecodeError):
        intake.take(b"\xff\xff")
    assert (len(intake.pods), intake.parts) == (1, 1)
