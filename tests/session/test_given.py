"""What containers are given of volumes behind claims: read of NRI's mounts and devices, kept with the pod, joined with its spec."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.model import NodeState, Pod
from koordnri.model.annotations import BLKIO_QOS_KEY
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.policy import DEFAULT_POLICY
from koordnri.session.given import given_to, has_volumes, volume_directory
from koordnri.session.handler import EventHandler
from koordnri.state.ledger import Ledger
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from tests.session.one_node import Observed

UID = "5c0e1b0e-1111-2222-3333-444455556666"
PODS = f"/var/lib/kubelet/pods/{UID}"
CSI = f"{PODS}/volumes/kubernetes.io~csi"
LIMITED = {"name": "data", "type": "podvolume", "ioCfg": {"readBPS": 4096}}
ANNOTATION = {BLKIO_QOS_KEY: json.dumps({"blocks": [LIMITED]})}
SPEC = PodSpec({"main": ContainerSpec({}, {}, claimed={"/data": "data"}), "side": ContainerSpec({}, {})})
NODE = NodeState(
    block_devices={"/dev/sda": "8:0", "/dev/sdb": "8:16"},
    pod_volumes={UID: {"pvc-1": ("/dev/sdb",)}},
    disks_below={"8:1": ("/dev/sda",)},
)
LIMIT = "rbps=4096 wbps=max riops=max wiops=max"


def container(
    name: str = "main", mounts: dict[str, str] | None = None, devices: tuple[tuple[str, str, int, int], ...] = ()
) -> api.Container:
    """mounts: path in the container → source. devices: (path, type, major, minor)."""
    message = api.Container(id=f"id-{name}", name=name, pod_sandbox_id="p1")
    for destination, source in {"/proc": "proc", **(mounts or {})}.items():
        message.mounts.add(destination=destination, type="bind", source=source, options=["rbind"])
    for path, kind, major, minor in devices:
        message.linux.devices.add(path=path, type=kind, major=major, minor=minor)
    return message


MOUNTED = container(mounts={"/data": f"{CSI}/pvc-1/mount"})
RAW = container(devices=(("/data", "b", 8, 1),))


# -- one container ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (f"{CSI}/pvc-1/mount", "pvc-1"),
        (f"{PODS}/volumes/kubernetes.io~local-volume/local-1", "local-1"),
        (f"{PODS}/volume-subpaths/pvc-1/main/0", "pvc-1"),
        (f"/data/pods/kubelet/pods/{UID}/volumes/kubernetes.io~csi/pvc-1/mount", "pvc-1"),
        (f"{PODS}/volumes/kubernetes.io~projected/token", ""),
        (f"{PODS}/volumes/kubernetes.io~empty-dir/cache", ""),
        (f"{PODS}/etc-hosts", ""),
        ("/opt/local-path/pvc-1", ""),
        ("proc", ""),
        ("", ""),
        (f"{PODS}/volumes", ""),
    ],
)
def test_kubelets_name_of_a_volume_is_in_the_path_that_the_runtime_mounts(source: str, name: str) -> None:
    assert volume_directory(source) == name


def test_what_a_container_is_given_is_reported_by_its_paths() -> None:
    message = container(
        mounts={"/data/": f"{CSI}/pvc-1/mount", "/etc/config": f"{PODS}/volumes/kubernetes.io~configmap/c"},
        devices=(("/dev/xvda", "b", 8, 1), ("/dev/fuse", "c", 10, 229)),
    )
    expected = {"/data": "pvc-1", "/dev/xvda": "8:1"}
    assert given_to(message) == expected
    assert given_to(views.Container.FromString(message.SerializeToString())) == expected


def test_a_path_with_two_devices_is_not_guessed() -> None:
    devices = (("/dev/sda", "b", 8, 0), ("/dev/sdb", "b", 8, 16), ("/dev/sda", "b", 253, 0), ("/dev/sdb", "b", 8, 16))
    assert given_to(container(devices=devices)) == {"/dev/sdb": "8:16"}


@given_any(st.text(alphabet="/pods.volumekrnti~-", max_size=80), st.text(max_size=20))
def test_no_mount_is_too_odd(source: str, destination: str) -> None:
    assert set(given_to(container(mounts={destination: source})).values()) <= {volume_directory(source)}


@pytest.mark.parametrize(
    ("spec", "annotations", "name", "read"),
    [
        pytest.param(SPEC, {}, "main", True, id="a-claim-of-which-an-annotation-may-come-later"),
        pytest.param(SPEC, ANNOTATION, "side", False, id="no-claim-in-this-container"),
        pytest.param(SPEC, ANNOTATION, "debug", False, id="a-container-that-the-spec-lacks"),
        pytest.param(None, ANNOTATION, "main", True, id="spec-not-known-and-annotated"),
        pytest.param(None, {}, "main", False, id="spec-not-known"),
    ],
)
def test_long_lists_are_read_only_where_they_may_show_something(
    spec: PodSpec | None, annotations: dict[str, str], name: str, read: bool
) -> None:
    pod = Pod("p1", UID, "default", "web", annotations=annotations, spec=spec)
    assert has_volumes(pod, name) is read


# -- through the handler ----------------------------------------------------------------------------------------------


class Reported:
    """The handler as the runtime meets it; `changed` are the pods that it wants to be decided again."""

    def __init__(self, spec: PodSpec | None = SPEC, annotations: dict[str, str] | None = None) -> None:
        self.ledger = Ledger()
        self.observed = Observed()
        self.changed: list[str | None] = []
        self.specs = {} if spec is None else {UID: spec}
        self.chain = Chain(load_hooks())
        self.handler = EventHandler(
            self.chain,
            self.ledger,
            Snapshot.of(DEFAULT_POLICY, NODE),
            self.observed,
            self.specs,
            self.changed.append,
        )
        self.sandbox = api.PodSandbox(id="p1", uid=UID, namespace="default", name="web", annotations=annotations)
        self.sandbox.labels["koordinator.sh/qosClass"] = "LS"
        self.sandbox.linux.cgroup_parent = f"/kubepods/burstable/pod{UID}"

    @property
    def pod(self) -> Pod:
        [pod] = self.ledger.pods()
        return pod

    def create(self, message: api.Container) -> dict[str, Any]:
        """The settings of the container."""
        request = api.CreateContainerRequest(pod=self.sandbox, container=message)
        answer = self.handler.handle("CreateContainer", request.SerializeToString())
        assert answer.settle is not None
        answer.settle()
        return self.limits(self.observed.reported[-1][3])

    def synchronize(self, *messages: api.Container) -> dict[str, Any]:
        message = api.SynchronizeRequest(pods=[self.sandbox], containers=messages)
        seen = views.SynchronizeRequest.FromString(message.SerializeToString())
        answer = self.handler.synchronize(seen.pods, seen.containers)
        assert answer.settle is not None
        answer.settle()
        return self.limits(self.observed.reported[-1][3])

    def of_pod(self) -> dict[str, Any]:
        """The settings of the pod's own cgroup."""
        return self.limits(self.chain.decide_pod(self.pod, self.handler.snapshot))

    @staticmethod
    def limits(decision: Any) -> dict[str, Any]:
        assert not decision.errors
        return {name: s.value for name, s in decision.settings.items() if name.startswith("io.")}


@pytest.mark.parametrize(("message", "disk"), [(MOUNTED, "/dev/sdb"), (RAW, "/dev/sda")], ids=["mounted", "raw"])
def test_a_container_that_is_created_reports_its_own_limit_and_its_pods(message: api.Container, disk: str) -> None:
    reported = Reported(annotations=ANNOTATION)
    reported.handler.handle("RunPodSandbox", api.RunPodSandboxRequest(pod=reported.sandbox).SerializeToString())
    assert reported.create(message) == {f"io.max[{disk}]": LIMIT}
    assert reported.changed == ["p1"], "its own cgroup was decided before the disk was known"
    assert reported.of_pod() == {f"io.max[{disk}]": LIMIT}
    assert reported.create(container("side")) == {f"io.max[{disk}]": LIMIT}, "the limit is the whole pod's"
    assert reported.changed == ["p1"]


@pytest.mark.parametrize(("message", "disk"), [(MOUNTED, "/dev/sdb"), (RAW, "/dev/sda")], ids=["mounted", "raw"])
def test_after_our_restart_what_runs_is_reported_again(message: api.Container, disk: str) -> None:
    reported = Reported(annotations=ANNOTATION)
    assert reported.synchronize(container("side"), message) == {f"io.max[{disk}]": LIMIT}
    assert reported.of_pod() == {f"io.max[{disk}]": LIMIT}


def test_an_annotation_that_comes_later_finds_the_volume_without_the_container_being_reported_again() -> None:
    reported = Reported()
    assert reported.create(MOUNTED) == {}
    assert reported.changed == [], "nobody asks for it"
    reported.sandbox.annotations.update(ANNOTATION)
    assert reported.create(container("side")) == {"io.max[/dev/sdb]": LIMIT}
    assert reported.of_pod() == {"io.max[/dev/sdb]": LIMIT}


def test_a_spec_that_comes_later_joins_with_what_was_reported() -> None:
    reported = Reported(spec=None, annotations=ANNOTATION)
    assert reported.create(MOUNTED) == {}
    reported.pod.spec = SPEC
    assert reported.of_pod() == {"io.max[/dev/sdb]": LIMIT}


def test_a_container_that_is_recreated_reports_its_volumes_again() -> None:
    reported = Reported(annotations=ANNOTATION)
    reported.create(MOUNTED)
    reported.create(RAW)
    assert reported.of_pod() == {"io.max[/dev/sda]": LIMIT}
