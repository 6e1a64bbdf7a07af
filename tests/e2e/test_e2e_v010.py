"""Programs for NRI v0.1 beside the daemon: called in a pod's whole life, and able to keep a container from starting."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.e2e import command, pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet
from tests.support.waiting import eventually
from tests.v010.programs import Programs

if TYPE_CHECKING:
    from tests.e2e.containerd import Containerd


@pytest.fixture
def programs(runtime: "Containerd", new_daemon: Callable[..., Daemon], tmp_path: Path) -> Iterator[Programs]:
    """Both programs, called by `koordnri v010`, beside a daemon."""
    made = Programs(tmp_path)
    new_daemon().start()
    log = tmp_path / "v010.log"
    options = [
        "--nri-socket",
        str(runtime.nri_socket),
        "--conf",
        str(made.configuration),
        "--bin-dir",
        str(made.directory),
    ]
    process = command.start(
        [*command.COMMAND, "v010", *options],
        {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        tmp_path,
        log,
    )
    try:
        eventually(lambda: '"registered"' in log.read_text(), f"registered in {log}")
        yield made
    finally:
        process.send_signal(15)
        assert process.wait(20) == 0
        print(log.read_text())


def test_both_programs_are_called_when_things_start_change_and_end(kubelet: Kubelet, programs: Programs) -> None:
    programs.configure()
    pod = kubelet.run_pod(qos="Guaranteed", labels={pods.QOS_CLASS: "LSR"})
    container = kubelet.run_container(pod, cpu_request_m=1000, cpu_limit_m=1000)
    kubelet.resize(container, cpu_request_m=500, cpu_limit_m=500)
    kubelet.stop(container)
    kubelet.end_pod(pod)
    sandbox = pod.sandbox_id
    states = [("create", sandbox), ("create", container.id), ("update", container.id)]
    states += [("delete", container.id), ("delete", sandbox)]
    eventually(lambda: programs.states("shell")[: len(states)] == states, f"{states} in {programs.states('shell')}")
    assert programs.states("python")[: len(states)] == states
    _, create, update, *_ = programs.requests("python")
    assert create["sandboxID"] == sandbox
    assert create["pid"] > 0
    assert create["labels"][pods.QOS_CLASS] == "LSR"
    assert update["spec"]["resources"]["cpu"]["shares"] == 512


def test_a_program_that_fails_keeps_a_container_from_starting_and_no_other(
    kubelet: Kubelet, programs: Programs
) -> None:
    pod = kubelet.run_pod()
    programs.configure({"type": "python", "conf": {"refuse": ["create"]}})
    with pytest.raises(grpc.RpcError, match=r"plugin: python: .* is not wanted"):
        kubelet.run_container(pod)
    programs.configure()
    assert kubelet.exec(kubelet.run_container(pod, "other"), "true") == ""
