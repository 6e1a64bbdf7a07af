"""What a container gets of accelerators: its environment, and device nodes that it may open and nobody else may."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet

ADDRESS = "0000:09:00.0"
VERBS = "1:11"
"""Number that the fake verbs device has: the kernel's log. Every kernel has it, no container may open it, and opening it for writing
does nothing."""
CM = "10:235"
TRUSTING = "koordnri-config: {hooks: {gpu: {requireRequest: never}}}\n"
RDMA = {pods.DEVICE_ALLOCATED: json.dumps({"rdma": [{"minor": 0, "id": ADDRESS}]})}


def host_with_rdma(root: Path) -> Path:
    """This machine's /proc and /sys, with an RDMA device that it has not."""
    (root / "sys/class").mkdir(parents=True)
    (root / "proc").symlink_to("/proc")
    for below in ("sys", "sys/class"):
        for entry in Path("/", below).iterdir():
            if entry.name not in ("class", "infiniband_verbs", "misc"):
                (root / below / entry.name).symlink_to(entry)
    for device, number in (("infiniband_verbs/uverbs0", VERBS), ("misc/rdma_cm", CM)):
        directory = root / "sys/class" / device
        directory.mkdir(parents=True)
        (directory / "dev").write_text(f"{number}\n")
    (root / "sys/class/infiniband_verbs/uverbs0/device").symlink_to(f"../../../devices/pci0000:00/{ADDRESS}")
    return root


def opens(kubelet: Kubelet, container: Container, path: str) -> str:
    """What becomes of opening a device for writing."""
    return kubelet.exec(container, "sh", "-c", f"(exec 3>{path}) 2>&1 && echo opened; true")


def inside(kubelet: Kubelet, container: Container, path: str) -> Path:
    """A path of the container, as seen from outside of it."""
    return Path(f"/proc/{kubelet.pid(container)}/root{path}")


def node(kubelet: Kubelet, container: Container, path: str) -> tuple[str, str]:
    """(type and mode, number) of a device node."""
    found = inside(kubelet, container, path).stat()
    return stat.filemode(found.st_mode), f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


@pytest.mark.usefixtures("own_daemon")
def test_what_the_container_itself_asks_for_is_replaced(kubelet: Kubelet) -> None:
    container = kubelet.run_container(
        kubelet.run_pod(annotations=pods.gpus(0, 3)), env={"NVIDIA_VISIBLE_DEVICES": "all", "COLOUR": "green"}
    )
    lines = Path(f"/proc/{kubelet.pid(container)}/environ").read_bytes().split(b"\0")
    assert [line for line in lines if line.startswith(b"NVIDIA_")] == [b"NVIDIA_VISIBLE_DEVICES=0,3"]
    assert b"COLOUR=green" in lines


def test_rdma_devices_are_there_and_may_be_opened_by_that_container_only(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    root = host_with_rdma(tmp_path / "host")
    new_daemon(policy=TRUSTING, arguments=["--host-root", str(root)]).start()

    given = kubelet.run_container(kubelet.run_pod(annotations=RDMA))
    other = kubelet.run_container(kubelet.run_pod())

    assert node(kubelet, given, "/dev/infiniband/uverbs0") == ("crw-rw-rw-", VERBS)
    assert node(kubelet, given, "/dev/infiniband/rdma_cm") == ("crw-rw-rw-", CM)
    assert opens(kubelet, given, "/dev/infiniband/uverbs0") == "opened\n"
    # The device cgroup, not the missing node, is what keeps others out.
    kubelet.exec(other, "busybox", "mknod", "/made", "c", *VERBS.split(":"))
    assert "Operation not permitted" in opens(kubelet, other, "/made")
    assert not inside(kubelet, other, "/dev/infiniband").exists()


def test_an_annotation_alone_gives_no_device(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Without the API server nobody knows what the pod's spec requested."""
    root = host_with_rdma(tmp_path / "host")
    new_daemon(arguments=["--host-root", str(root)]).start()

    container = kubelet.run_container(kubelet.run_pod(annotations=RDMA))

    assert kubelet.running(container)
    assert not inside(kubelet, container, "/dev/infiniband").exists()


@pytest.mark.parametrize("devices", [{"rdma": [{"minor": 0, "id": "0000:ff:00.0"}]}, {"gpu": [{"minor": -1}]}])
def test_devices_that_cannot_be_cost_the_container_nothing(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon], tmp_path: Path, devices: dict[str, Any]
) -> None:
    root = host_with_rdma(tmp_path / "host")
    daemon = new_daemon(policy=TRUSTING, arguments=["--host-root", str(root)])
    daemon.start()

    container = pods.batch(kubelet, annotations={pods.DEVICE_ALLOCATED: json.dumps(devices)})

    assert kubelet.running(container)
    pods.check_batch(kubelet, container)
    assert "NVIDIA_VISIBLE_DEVICES" not in kubelet.environment(container)
    assert daemon.metric("koordnri_registrations_total") == 1


def test_devices_go_by_cdi_where_the_runtime_injects_them_and_by_environment_elsewhere(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon]
) -> None:
    edits = {
        "env": ["CDI_DEVICE=0"],
        "deviceNodes": [{"path": "/dev/nvidia0", "type": "c", "major": 1, "minor": 11, "permissions": "rw"}],
    }
    spec = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0", "containerEdits": edits}]}
    (kubelet.runtime.work / "cdi").mkdir(exist_ok=True)
    (kubelet.runtime.work / "cdi/nvidia.json").write_text(json.dumps(spec))
    new_daemon(policy="koordnri-config: {hooks: {gpu: {inject: cdi, requireRequest: never}}}\n").start()

    container = kubelet.run_container(kubelet.run_pod(annotations=pods.gpus(0)), env={"NVIDIA_VISIBLE_DEVICES": "all"})

    environment = kubelet.environment(container)
    if kubelet.runtime.name == "containerd-2":
        assert environment["NVIDIA_VISIBLE_DEVICES"] == "void"
        assert environment["CDI_DEVICE"] == "0"
        assert node(kubelet, container, "/dev/nvidia0")[1] == VERBS
        assert opens(kubelet, container, "/dev/nvidia0") == "opened\n"
    else:
        assert environment["NVIDIA_VISIBLE_DEVICES"] == "0"
        assert not inside(kubelet, container, "/dev/nvidia0").exists()
