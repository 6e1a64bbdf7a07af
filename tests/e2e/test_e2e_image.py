"""The container image: what it holds, and the daemon from it as a container, in the chart's own mounts, rights and limits.

containerd and the kernel are real, and the requests are those of kubelet. What the chart's DaemonSet lacks for the daemon's work fails
here: a mount, a right, a system call, memory.
"""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import image, lab, pods
from tests.e2e.cgroups import Limits
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.daemon_pod import DaemonPod
    from tests.e2e.kubelet import Container, Kubelet

# The first test waits for the image: two builds, of 30 s of CPU time each.
pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

HELM = lab.LAB_DIR / "bin" / "helm"
PORT, HEALTH_PORT, PAGE_PORT = 19316, 19318, 19317
RATIO_2 = 'policy.cpu-normalization-config={"enable":true,"defaultRatio":2.0}'
ALL_PODS = "/kubepods"
ASKED_US, HALVED_US = 80_000, 40_000
MB = 1_000_000
OWN_MAX, WHOLE_MAX = 80 * MB, 150 * MB


@pytest.fixture(scope="module", autouse=True)
def _laboratory() -> None:
    absent = [str(path) for path in (image.BASE, HELM) if not path.exists()]
    reason = lab.lacks(lab.RUNTIMES[-1]) or (
        f"no {', '.join(absent)}: run python tools/lab_setup.py" if absent else None
    )
    if reason is not None:
        (pytest.fail if lab.CI else pytest.skip)(reason)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[image.Image]]:
    """The image, built twice, each time from nothing. What the builds leave on the disk does not outlive the tests."""
    work = tmp_path_factory.mktemp("image")
    images = []
    with image.package_index(work) as index:
        for number in (1, 2):
            builder = image.Builder(work / str(number), index)
            images.append(builder.build_and_save(work / f"{number}.tar"))
    yield images
    shutil.rmtree(work)


class Chart:
    """The chart, installed on the laboratory's node: its DaemonSet, and its ConfigMap as kubelet mounts it."""

    def __init__(self, work: Path, nri_directory: Path, writable: list[Path]) -> None:
        """`writable`: cgroups."""
        self.policy = work / "policy"
        self.seccomp = work / "seccomp"
        self.state = work / "state"
        kubelet = work / "kubelet"
        kubelet.mkdir()
        (kubelet / "cpu_manager_state").write_text('{"policyName": "none"}')
        values = {
            "image.repository": image.NAME.partition(":")[0],
            "image.tag": image.NAME.partition(":")[2],
            "nriSocketDir": nri_directory,
            "stateDir": self.state,
            "kubeletDir": kubelet,
            # The policy from a mounted ConfigMap: the laboratory's node has no API server.
            "apiAccess.enabled": "false",
            "metrics.port": PORT,
            "health.port": HEALTH_PORT,
            "page.enabled": "true",
            "page.port": PAGE_PORT,
            # The stricter one: what works with it works with the runtime's own, too.
            "seccompProfile": "Localhost",
        }
        self._values = [
            word
            for key, value in values.items()
            for word in ("--set-string" if "image" in key else "--set", f"{key}={value}")
        ]
        # A comma is part of some names.
        self._values += ["--set-json", f"writableCgroups={json.dumps(list(map(str, writable)))}"]

    def install(self, *policy: str) -> dict[str, Any]:
        """Render with these policies and mount the ConfigMaps; the DaemonSet."""
        from tests.e2e.daemon_pod import rendered, write_configmap

        objects = rendered(HELM, *self._values, *(word for text in policy for word in ("--set-json", text)))
        write_configmap(self.policy, objects["ConfigMap", "koordnri-policy"].get("data") or {})
        write_configmap(self.seccomp, objects["ConfigMap", "koordnri-seccomp"]["data"])
        return objects["DaemonSet", "koordnri"]


@pytest.fixture(scope="module")
def kubelet(built: list[image.Image]) -> Iterator[Kubelet]:
    """Of the newest containerd, which has the image; one for all tests here."""
    from tests.e2e.kubelet import Kubelet
    from tests.e2e.running import running

    with running(lab.RUNTIMES[-1], shared_mounts=True) as runtime:
        runtime.import_image(built[0].archive)
        own = Kubelet(runtime)
        yield own
        own.cleanup()
        print(f"--- end of {runtime.log}\n{runtime.log_tail()}")  # pytest shows this for failing tests only


@pytest.fixture(scope="module")
def chart(kubelet: Kubelet, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """Installed without a policy at first. kubelet has made the cgroup of all pods: one on v2, one in each hierarchy of v1."""
    cgroups = kubelet.cgroups
    cgroups.make(ALL_PODS, Limits())
    written = ("cpu", "cpuset", "memory", "blkio")
    tops = [cgroups.hierarchies[name] for name in written if name in cgroups.hierarchies] or cgroups.roots()
    writable = [top / ALL_PODS.lstrip("/") for top in dict.fromkeys(tops)]
    return Chart(tmp_path_factory.mktemp("chart"), kubelet.runtime.nri_socket.parent, writable)


@pytest.fixture(scope="module")
def daemon(kubelet: Kubelet, chart: Chart) -> DaemonPod:
    """koordnri in its container, ready."""
    from tests.e2e.daemon_pod import DaemonPod

    pod = DaemonPod(kubelet, chart.install(), {"policy": chart.policy, "seccomp": chart.seccomp}, image.NAME)
    pod.start()
    return pod


def status_of(kubelet: Kubelet, container: Container) -> dict[str, str]:
    """/proc/PID/status of a container's first process, by key."""
    lines = Path(f"/proc/{kubelet.pid(container)}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_two_builds_give_one_digest(built: list[image.Image]) -> None:
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", built[0].digest)
    assert built[0].digest == built[1].digest


def test_the_image_is_small(built: list[image.Image]) -> None:
    base, *own = built[0].layers
    print(f"base {base / MB:.1f} MB, own layers {sum(own) / MB:.1f} MB")
    assert 0 < sum(own) <= OWN_MAX
    assert base + sum(own) <= WHOLE_MAX


def test_nothing_that_builds_is_left_in_it(built: list[image.Image]) -> None:
    site = "opt/koordnri/lib/python3.*/site-packages/"
    packages = {match[1] for path in built[0].paths if (match := re.match(f"{site}([^/.]+)", path))}
    assert "koordnri" in packages
    assert packages & {"pip", "setuptools", "hatchling", "pkg_resources"} == set()


def test_the_container_has_what_the_chart_gives_and_no_more(kubelet: Kubelet, daemon: DaemonPod) -> None:
    status = status_of(kubelet, daemon.container)
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    limit = kubelet.read(daemon.container, "memory.limit")
    assert limit == 128 * pods.MIB
    code, output = daemon.execute("python3", "-c", "open('/opt/koordnri/made', 'w')")
    assert (code, "Read-only file system" in output) == (1, True)


def test_a_system_call_that_koordnri_does_not_need_is_refused(daemon: DaemonPod) -> None:
    """By its own profile: the runtime's has this one. The init container has brought the profile to where the runtime reads it."""
    code, output = daemon.execute("python3", "-c", "import os; os.mkfifo('/var/lib/koordnri/made')")
    assert (code, "Function not implemented" in output) == (1, True), output


def test_only_the_cgroups_of_pods_can_be_written(kubelet: Kubelet, daemon: DaemonPod) -> None:
    """The other tests show that nothing else need be."""
    cgroups = kubelet.cgroups
    top = f"/host{cgroups.hierarchies['cpuset'] if cgroups.version == 1 else cgroups.roots()[0]}"
    code, output = daemon.execute(
        "python3", "-c", f"import os; os.mkdir('{top}/kubepods/made'); os.rmdir('{top}/kubepods/made')"
    )
    assert code == 0, output
    code, output = daemon.execute("python3", "-c", f"import os; os.mkdir('{top}/made')")
    assert (code, "Read-only file system" in output) == (1, True), output


def test_the_state_directory_is_closed_to_others_though_kubelet_makes_it_open(chart: Chart, daemon: DaemonPod) -> None:
    assert daemon.metric("koordnri_registrations_total") == 1
    assert list(chart.state.iterdir())
    assert {path.name for path in (chart.state, *chart.state.iterdir()) if path.stat().st_mode & 0o077} == set()


def test_the_page_is_served(daemon: DaemonPod) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{PAGE_PORT}/", timeout=10) as answer:
        assert b"koordnri" in answer.read()


def test_the_bill_of_materials_lists_what_is_installed(daemon: DaemonPod) -> None:
    code, text = daemon.execute("cat", "/opt/koordnri/sbom.cdx.json")
    assert code == 0, text
    listed = {component["name"]: component["version"] for component in json.loads(text)["components"]}
    program = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    code, installed = daemon.execute("/opt/koordnri/bin/python", "-c", program)
    assert code == 0, installed
    assert len(installed.split()) == len(listed) + 1  # koordnri itself is what the bill is about
    assert {"protobuf", "kubernetes", "msgspec"} <= listed.keys()


def test_its_python_takes_lists_of_the_api_server_apart(daemon: DaemonPod) -> None:
    """Debian 12 has Python 3.11.2, whose regular expressions have a fault that later ones lack."""
    objects: list[Any] = [{"metadata": {"name": "a", "labels": {"x": {"y": {}}}}}, {}]
    program = "import sys; from koordnri.kube.items import Items; print(len([*Items('x').feed(sys.argv[1].encode())]))"
    body = json.dumps({"kind": "PodList", "items": objects})
    assert daemon.execute("/opt/koordnri/bin/python", "-c", program, body) == (0, "2\n")


def test_new_containers_get_what_is_decided(kubelet: Kubelet, daemon: DaemonPod) -> None:
    pods.check_pinned(kubelet, pods.pinned(kubelet))
    pods.check_batch(kubelet, pods.batch(kubelet))
    assert daemon.metric("koordnri_registrations_total") == 1


def test_a_changed_configmap_reaches_a_running_container(kubelet: Kubelet, chart: Chart, daemon: DaemonPod) -> None:
    """Through the mount of the policy, which is read-only, and that of the cgroups, which is not."""
    container = pods.normalised(kubelet)
    for policy, us in (((RATIO_2,), HALVED_US), ((), ASKED_US)):
        chart.install(*policy)
        eventually(lambda us=us: kubelet.read(container, "cpu.quota") == us, f"a quota of {us} µs")  # type: ignore[misc]  # mypy knows no defaults of lambdas


def test_commands_in_the_container_get_along_with_its_memory_and_rights(kubelet: Kubelet, daemon: DaemonPod) -> None:
    container = pods.batch(kubelet)
    code, output = daemon.execute("koordnri", "status", "--wait")
    assert code in (0, 1), output  # 1: with warnings
    code, output = daemon.execute("koordnri", "explain", f"{container.pod.namespace}/{container.pod.name}")
    assert code == 0, output
    assert "cpu.quota" in output
    code, output = daemon.execute("koordnri", "doctor", "-o", "json")
    findings = [(f["code"], f["object"]) for f in json.loads(output)["findings"]]
    # Rights and mounts; the laboratory's own kernel and directories are no fault of the chart.
    assert [f for f in findings if f[0].startswith(("KN04", "KN07")) and f[0] not in ("KN0402", "KN0403")] == []


def test_a_restart_of_the_container_changes_no_other(kubelet: Kubelet, chart: Chart, daemon: DaemonPod) -> None:
    """As in a roll-out. Decisions start from kubelet's values, so that nothing is scaled twice."""
    chart.install(RATIO_2)
    containers = [pods.normalised(kubelet), pods.pinned(kubelet), pods.batch(kubelet)]
    eventually(lambda: kubelet.read(containers[0], "cpu.quota") == HALVED_US, "the policy to be in force")
    fields = ("cpu.quota", "cpu.cpus", "memory.limit")
    before = [kubelet.reads(container, *fields) for container in containers]
    old = daemon.container.id

    daemon.restart()

    assert daemon.container.id != old
    assert daemon.metric("koordnri_registrations_total") == 1
    eventually(lambda: daemon.metric("koordnri_reconcile_passes_total") >= 1, "it to have looked at all that runs")
    assert kubelet.read(pods.normalised(kubelet), "cpu.quota") == HALVED_US
    assert [kubelet.reads(container, *fields) for container in containers] == before
    print(f"RSS of the daemon: {status_of(kubelet, daemon.container)['VmRSS']}, ready after {daemon.start_s:.2f} s")


def test_the_runtimes_default_profile_suffices_too(kubelet: Kubelet, daemon: DaemonPod) -> None:
    """The last test, for it changes what the others look at. The policy is that of the one before."""
    daemon.restart({"type": "RuntimeDefault"})
    assert kubelet.read(pods.normalised(kubelet), "cpu.quota") == HALVED_US
    assert daemon.metric("koordnri_registrations_total") == 1
