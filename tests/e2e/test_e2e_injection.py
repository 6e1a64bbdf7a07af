"""What pods ask for by the annotations of NRI's sample plugins is there in the running container."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.model import injection
from koordnri.model.pod import SOURCE_KEY
from tests.e2e import lab
from tests.e2e.command import COMMAND
from tests.e2e.containerd import Containerd
from tests.e2e.daemon import START_S, Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.support.waiting import eventually

HERE = {"namespaces": ["default"]}
POLICY = json.dumps({"koordnri-config": {"trust": {"injection": {kind.name: HERE for kind in injection.ALL}}}})
TENANT = {SOURCE_KEY: "api"}
"""As kubelet reports a tenant's pod; those of these tests are static otherwise."""


RAN = "hook-ran-"


def host_with_hook(root: Path) -> Path:
    """This machine's /proc and /sys, and a hook of the OCI runtime for annotated containers that this machine has not."""
    for directory in ("proc", "sys", root.parts[1]):
        (root / directory).symlink_to(f"/{directory}")
    program = root / "hook.sh"
    program.write_text(f"#!/bin/sh\ncat > {root}/{RAN}$1\n")
    program.chmod(0o755)
    (root / "etc/containers/oci/hooks.d").mkdir(parents=True)
    hook = {
        "version": "1.0.0",
        "hook": {"path": str(program), "args": ["hook.sh", "created"]},
        "when": {"annotations": {"^example.com/hooked$": "^yes$"}, "commands": ["sh$|sleep$"]},
        "stages": ["createRuntime"],
    }
    (root / "etc/containers/oci/hooks.d/10-test.json").write_text(json.dumps(hook))
    return root


@pytest.fixture(scope="module")
def host(runtime: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the daemon takes for the host's root directory."""
    return host_with_hook(tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def daemon(runtime: Containerd, host: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose policy lets the pods of these tests inject everything."""
    arguments = ["--host-root", str(host)]
    shared = Daemon(runtime.nri_socket, tmp_path_factory.mktemp("daemon"), policy=POLICY, arguments=arguments)
    try:
        shared.start()
        yield shared
    finally:
        shared.stop()


def run(kubelet: Kubelet, annotations: dict[injection.Injection | str, Any], **more: Any) -> Container:
    """A container whose pod has these annotations: kind → value, for the container alone."""
    texts = {
        (f"{key.keys[0]}/container.main" if isinstance(key, injection.Injection) else key): (
            value if isinstance(value, str) else json.dumps(value)
        )
        for key, value in annotations.items()
    }
    return kubelet.run_container(kubelet.run_pod(annotations=TENANT | texts), **more)


def inside(kubelet: Kubelet, container: Container, path: str) -> Path:
    """A path of the container, as seen from outside of it."""
    return Path(f"/proc/{kubelet.pid(container)}/root{path}")


@pytest.mark.usefixtures("daemon")
def test_devices_mounts_and_limits_are_those_of_the_annotations(kubelet: Kubelet, tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("hello\n")
    device = {"path": "/dev/injected", "type": "c", "major": 1, "minor": 11, "file_mode": 0o640, "gid": 7}
    container = run(
        kubelet,
        {
            injection.DEVICES: [device],
            injection.MOUNTS: [
                {"source": str(tmp_path), "destination": "/injected", "type": "bind", "options": ["rbind", "ro"]}
            ],
            injection.ULIMITS: "- type: nofile\n  soft: 333\n  hard: 444\n",
        },
    )
    node = inside(kubelet, container, "/dev/injected").stat()
    assert (stat.filemode(node.st_mode), os.major(node.st_rdev), os.minor(node.st_rdev), node.st_gid) == (
        "crw-r-----",
        1,
        11,
        7,
    )
    assert kubelet.exec(container, "sh", "-c", "(exec 3>/dev/injected) 2>&1 && echo opened; true") == "opened\n"
    assert kubelet.exec(container, "cat", "/injected/greeting") == "hello\n"
    assert "Read-only" in kubelet.exec(container, "sh", "-c", "(echo x > /injected/x) 2>&1; true")
    assert resource.prlimit(kubelet.pid(container), resource.RLIMIT_NOFILE) == (333, 444)
    # The hard limit only: runc's `exec` raises the soft one to it now and then (runc 4195).
    assert kubelet.exec(container, "sh", "-c", "ulimit -Hn").strip() == "444"


def test_cdi_devices_are_injected_where_the_runtime_does_so_and_elsewhere_it_is_reported(
    kubelet: Kubelet, daemon: Daemon
) -> None:
    edits = {"env": ["INJECTED_BY=cdi"], "deviceNodes": [{"path": "/dev/acme0", "type": "c", "major": 1, "minor": 11}]}
    spec = {"cdiVersion": "0.5.0", "kind": "acme.com/card", "devices": [{"name": "0", "containerEdits": edits}]}
    (kubelet.runtime.work / "cdi").mkdir(exist_ok=True)
    (kubelet.runtime.work / "cdi/acme.json").write_text(json.dumps(spec))
    before = daemon.metric("koordnri_hook_errors_total", hook="injection", fault="node")
    container = run(kubelet, {injection.CDI_DEVICES: ["acme.com/card=0"]})
    if kubelet.runtime.name != "containerd-1.7":
        assert kubelet.environment(container)["INJECTED_BY"] == "cdi"
        assert inside(kubelet, container, "/dev/acme0").exists()
    else:
        assert daemon.metric("koordnri_hook_errors_total", hook="injection", fault="node") == before + 1


AT_CREATION = {
    injection.IO_PRIORITY: {"class": "IOPRIO_CLASS_IDLE", "priority": 0},
    injection.SCHEDULING_POLICY: {"policy": "SCHED_BATCH", "nice": 5},
    injection.SYSCTL: {"kernel.shmmni": "123"},
    injection.MEMORY_POLICY: {"mode": "MPOL_BIND", "nodes": "0"},
}
LACKING = {"containerd-1.7": 4, "containerd-2": 4, lab.CRIO: 2, lab.CONTAINERD_2_4: 0}
"""Runtime → how many of these its NRI does not know (0.6, 0.8, 0.11 and 0.12), the last ones."""


def test_what_is_newer_than_the_runtimes_nri_is_reported_and_all_else_is_set(kubelet: Kubelet, daemon: Daemon) -> None:
    before = daemon.metric("koordnri_hook_errors_total", hook="injection", fault="node")
    extra = {injection.ENVIRONMENT: {"COLOUR": "green"}, injection.ANNOTATIONS: {"example.com/a": "b"}}
    container = run(kubelet, AT_CREATION | extra)
    spec = kubelet.oci_spec(container)
    assert kubelet.environment(container)["COLOUR"] == "green"
    assert spec["annotations"]["example.com/a"] == "b"
    lacking = LACKING[kubelet.runtime.name]
    assert daemon.metric("koordnri_hook_errors_total", hook="injection", fault="node") == before + lacking
    process, linux = spec["process"], spec["linux"]
    assert ("memoryPolicy" in linux) is (lacking == 0)
    if lacking > 2:
        assert not {"ioPriority", "scheduler"} & process.keys()
        return
    assert process["ioPriority"] == {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    assert (process["scheduler"]["policy"], process["scheduler"]["nice"]) == ("SCHED_BATCH", 5)
    if not lacking:
        assert linux["memoryPolicy"] == {"mode": "MPOL_BIND", "nodes": "0"}
        assert kubelet.exec(container, "cat", "/proc/sys/kernel/shmmni").strip() == "123"


@pytest.mark.usefixtures("daemon")
def test_the_hosts_hook_runs_for_the_containers_that_it_names(kubelet: Kubelet, host: Path) -> None:
    run(kubelet, {"example.com/hooked": "no"})
    assert not list(host.glob(f"{RAN}*"))
    container = run(kubelet, {"example.com/hooked": "yes"})
    (ran,) = host.glob(f"{RAN}*")
    assert (ran.name, json.loads(ran.read_text())["id"]) == (f"{RAN}created", container.id)


def test_a_cgroup_is_writable_where_the_host_delegates_it(kubelet: Kubelet, daemon: Daemon) -> None:
    mounted = [line for line in Path("/proc/1/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    delegates = any("nsdelegate" in line and " /sys/fs/cgroup " in line for line in mounted)
    before = daemon.metric("koordnri_hook_errors_total", hook="injection", fault="node")
    container = run(kubelet, {injection.WRITABLE_CGROUPS: "true"})
    errors = daemon.metric("koordnri_hook_errors_total", hook="injection", fault="node") - before
    assert errors == (0 if delegates else 1)
    if delegates:
        made = kubelet.exec(container, "sh", "-c", "mkdir /sys/fs/cgroup/mine 2>&1 && echo made; true")
        assert made == "made\n"


@pytest.mark.usefixtures("daemon")
def test_differ_shows_what_is_injected(kubelet: Kubelet, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--nri-socket", str(kubelet.runtime.nri_socket)]
    line = "main: + container.env: COLOUR=green"

    def shown() -> bool:
        """Of the first container that is created once it has registered."""
        run(kubelet, {injection.ENVIRONMENT: {"COLOUR": "green"}})
        return line in out.read_text()

    with out.open("w") as file, subprocess.Popen([*COMMAND, "differ", *options], stdout=file) as differ:
        try:
            eventually(shown, f"koordnri differ to print {line}", START_S)
        finally:
            differ.terminate()
    (printed, *_) = [text for text in out.read_text().splitlines() if line in text]
    assert printed.startswith("[00 to 99] CreateContainer default/pod-")


def test_a_bad_annotation_costs_its_kind_and_not_the_container(kubelet: Kubelet, daemon: Daemon) -> None:
    before = daemon.metric("koordnri_hook_errors_total", hook="injection", fault="pod")
    container = run(
        kubelet, {injection.DEVICES: [{"path": "no-path"}], injection.ULIMITS: '[{"type": "core", "hard": 5}]'}
    )
    assert resource.prlimit(kubelet.pid(container), resource.RLIMIT_CORE) == (0, 5)
    assert daemon.metric("koordnri_hook_errors_total", hook="injection", fault="pod") == before + 1


def test_a_pod_that_nobody_listed_gets_nothing(kubelet: Kubelet, daemon: Daemon) -> None:
    pod = kubelet.run_pod(
        namespace="others",
        annotations=TENANT | {f"{injection.ULIMITS.keys[0]}/container.main": '[{"type": "core", "hard": 5}]'},
    )
    container = kubelet.run_container(pod)
    assert resource.prlimit(kubelet.pid(container), resource.RLIMIT_CORE)[1] != 5
    assert daemon.metric("koordnri_trust_refusals_total", rule="injection.ulimits", outcome="refused") == 1
