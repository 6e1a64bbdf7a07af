"""Limits of disks in real cgroups: of BE together, of a pod, of a container from its start; by device and by the pod's volume.

The limits are far above what the disk can do: other tests use it, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.volumes import Volumes
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
GIB = 1 << 30
READ, WRITE = 64 * GIB, 65 * GIB


def be_policy(*blocks: dict[str, Any]) -> str:
    classes = {"beClass": {"blkioQOS": {"enable": True, "blocks": list(blocks)}}}
    return json.dumps({"resource-qos-config": json.dumps({"clusterStrategy": classes})})


def block(name: str, kind: str = "device", **io: int) -> dict[str, Any]:
    return {"name": name, "type": kind, "ioCfg": io}


def annotation(*blocks: dict[str, Any]) -> dict[str, str]:
    return {pods.BLKIO_QOS: json.dumps({"blocks": list(blocks)})}


def directory(kubelet: Kubelet, container: Container, up: int) -> Path:
    """Of the container's cgroup (0), its pod's (1), its class's (2), where disks are limited."""
    own = kubelet.cgroups.of(kubelet.pid(container))["" if kubelet.cgroups.version == 2 else "io"]
    return [own, *own.parents][up]


def limits(kubelet: Kubelet, container: Container, up: int, number: str) -> tuple[str, str]:
    """Bytes per second that may be read and written, as the kernel shows them; `max` is no limit."""
    where = directory(kubelet, container, up)
    if kubelet.cgroups.version == 2:
        lines = dict(line.split(" ", 1) for line in (where / "io.max").read_text().splitlines())
        words = dict(word.split("=") for word in lines.get(number, "rbps=max wbps=max").split())
        return words["rbps"], words["wbps"]
    read, write = (
        dict(line.split() for line in (where / f"blkio.throttle.{name}_bps_device").read_text().splitlines())
        for name in ("read", "write")
    )
    return read.get(number, "max"), write.get(number, "max")


NOTHING = ("max", "max")
BOTH = (str(READ), str(WRITE))


def test_BE_has_its_limit_together_and_loses_it_with_the_policy(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    disk, number = pods.disk()
    daemon = new_daemon(policy=be_policy(block(disk, readBPS=READ, writeBPS=WRITE)))
    daemon.start()
    container = pods.batch(kubelet)

    eventually(lambda: limits(kubelet, container, 2, number) == BOTH, "BE's limit")
    assert limits(kubelet, container, 1, number) == limits(kubelet, container, 0, number) == NOTHING

    daemon.policy_file.write_text(be_policy(block(disk, readBPS=READ)))
    eventually(lambda: limits(kubelet, container, 2, number) == (str(READ), "max"), "one limit of BE's to be lifted")
    daemon.kill()
    daemon.policy_file.write_text("{}\n")
    daemon.start()
    eventually(lambda: limits(kubelet, container, 2, number) == NOTHING, "BE's limit to be lifted after a restart")


def test_a_pod_has_the_limits_of_its_annotation_and_on_v2_its_container_from_the_start(
    kubelet: Kubelet, daemon: Daemon
) -> None:
    disk, number = pods.disk()
    blocks = block("/dev/no-such-disk", readBPS=1), block(disk, readBPS=READ, writeBPS=WRITE)
    container = pods.batch(kubelet, annotations=annotation(*blocks))

    assert limits(kubelet, container, 0, number) == (BOTH if kubelet.cgroups.version == 2 else NOTHING)
    eventually(lambda: limits(kubelet, container, 1, number) == BOTH, "the pod's limits")
    assert limits(kubelet, container, 2, number) == NOTHING
    assert daemon.metric("koordnri_apply_failures_total") == 0


@pytest.fixture
def volumes(tmp_path: Path) -> Iterator[Volumes]:
    """Those of one test."""
    own = Volumes(tmp_path)
    try:
        yield own
    finally:
        own.unmount()


BOTH_KINDS = pytest.mark.parametrize("raw", [False, True], ids=["mounted", "raw"])


@pytest.mark.full  # 20 s
@BOTH_KINDS
@pytest.mark.usefixtures("daemon")
def test_a_limit_of_a_pods_volume_holds_for_the_disk_that_it_lies_on(
    kubelet: Kubelet, volumes: Volumes, raw: bool
) -> None:
    pod = kubelet.run_pod(
        labels={pods.QOS_CLASS: "LS"}, annotations=annotation(block("pv-1", "podvolume", readBPS=READ, writeBPS=WRITE))
    )
    volume = volumes.raw(pod.uid, "pv-1") if raw else volumes.mounted(pod.uid, "pv-1")
    container = kubelet.run_container(pod)

    eventually(lambda: limits(kubelet, container, 1, volume.number) == BOTH, "the pod's limits")
