"""`koordnri run` between a real API server and a real containerd: an edit of the ConfigMap reaches the files of running containers, and
the phase of a pod those of the others, as Events report.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from koordnri.model import CPUSet
from koordnri.model.pod import SOURCE_KEY
from tests.e2e import lab
from tests.e2e.daemon import Daemon
from tests.kube.api_server import DAEMON
from tests.kube.budgets import budget
from tests.kube.control_plane import ControlPlane
from tests.kube.crowd import NODE, Crowd
from tests.kube.following import FollowingDaemon
from tests.kube.rights import Deployed, grant
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.kubelet import Container, Kubelet

pytestmark = [pytest.mark.e2e, pytest.mark.full]

KEY = "cpu-normalization-config"
RATIO_2, RATIO_4 = ({KEY: f'{{"enable": true, "defaultRatio": {ratio}}}'} for ratio in (2, 4))
NONE_KEPT = {"koordnri-config": '{"clusterStrategy": {"hooks": {"cpuset": {"minSharedCPUs": 0}}}}'}
"""A policy by which owners may have every CPU, for there may be only two."""
ALL = CPUSet(os.sched_getaffinity(0))
BAD = {KEY: '{"enable": true, "defaultRatio": "fast"}'}
ASKED_US, HALVED_US, QUARTERED_US = 80_000, 40_000, 20_000


@pytest.fixture(scope="module")
def kubelet() -> Iterator[Kubelet]:
    """Of the newest containerd."""
    runtime = lab.RUNTIMES[-1]
    reason = lab.lacks(runtime)
    if reason is not None:
        (pytest.fail if lab.CI else pytest.skip)(reason)
    # Here, for they need grpcio and the laboratory's CRI messages.
    from tests.e2e.containerd import Containerd
    from tests.e2e.kubelet import Kubelet, sweep_cgroups

    # The end-to-end tests' prefix and file: they clean up after a run that was killed.
    work = Path(tempfile.mkdtemp(prefix="kn-", dir="/tmp"))
    (work / "owner").write_text(str(os.getpid()))
    containerd = Containerd(runtime, work)
    own = Kubelet(containerd)
    try:
        containerd.start()
        yield own
    finally:
        own.cleanup()
        containerd.stop()
        sweep_cgroups(work)
        shutil.rmtree(work)


@pytest.fixture
def daemon(plane: ControlPlane, deployed: Deployed, kubelet: Kubelet, tmp_path: Path) -> Iterator[Daemon]:
    """Ready, with an empty policy and with no more rights than deploy/ gives."""
    plane.create("/api/v1/nodes", {"metadata": {"name": NODE}})
    deployed.write_policy({})
    kubeconfig = plane.kubeconfig(tmp_path, DAEMON)
    it = FollowingDaemon(kubelet.runtime.nri_socket, tmp_path, deployed.policy, kubeconfig)
    try:
        it.start()
        yield it
    finally:
        it.stop()
        kubelet.cleanup()
        plane.delete(f"/api/v1/nodes/{NODE}")
        print(f"--- end of {it.log}\n{it.log_tail()}")


def has_quota(kubelet: Kubelet, container: Container, quota_us: int, timeout_s: float = 30.0) -> None:
    eventually(lambda: kubelet.read(container, "cpu.quota") == quota_us, f"cpu.quota to be {quota_us}", timeout_s)


def node_events(plane: ControlPlane) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = plane.call("GET", "/api/v1/namespaces/default/events")["items"]
    return [event for event in items if event["involvedObject"]["name"] == NODE]


def test_an_edit_of_the_configmap_reaches_a_running_container_and_a_bad_one_does_not(
    plane: ControlPlane, deployed: Deployed, kubelet: Kubelet, daemon: Daemon
) -> None:
    from tests.e2e import pods

    container = pods.normalised(kubelet)
    assert kubelet.read(container, "cpu.quota") == ASKED_US

    deployed.write_policy(RATIO_2)
    has_quota(kubelet, container, HALVED_US)

    deployed.write_policy(BAD)
    event = eventually(lambda: node_events(plane), "an Event on the Node")[0]
    assert (event["type"], event["reason"]) == ("Warning", "PolicyRefused")
    assert f"ConfigMap {'/'.join(deployed.policy)}: {KEY}.defaultRatio: " in event["message"]
    assert daemon.ready(), "the good one is in force"
    assert daemon.metric("koordnri_policy_good") == 0
    assert kubelet.read(container, "cpu.quota") == HALVED_US
    # The bad one does not touch what is created under it either.
    assert kubelet.read(pods.normalised(kubelet), "cpu.quota") == HALVED_US

    deployed.write_policy(RATIO_4)
    has_quota(kubelet, container, QUARTERED_US)
    assert daemon.metric("koordnri_policy_good") == 1

    plane.restart()
    assert kubelet.read(container, "cpu.quota") == QUARTERED_US
    deployed.write_policy({})
    # A server that starts refuses connections, then everybody (its roles are not loaded yet), then versions that are older than
    # itself: the watch waits longer after each.
    has_quota(kubelet, container, ASKED_US, timeout_s=120)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_the_cpus_of_a_pod_whose_phase_says_that_it_is_over_are_others_though_its_sandbox_runs(
    plane: ControlPlane, deployed: Deployed, kubelet: Kubelet, daemon: Daemon, namespace: str, phase: str
) -> None:
    from tests.e2e import pods
    from tests.e2e.kubelet import UNTIL_STOPPED

    before = daemon.metric("koordnri_policy_accepted_total")
    deployed.write_policy(NONE_KEPT)
    eventually(lambda: daemon.metric("koordnri_policy_accepted_total") > before, "the policy to be taken")

    def lsr(name: str, milli: int, command: tuple[str, ...] = ()) -> Container:
        resources = {"cpu": f"{milli}m", "memory": "64Mi"}
        made = plane.create(
            f"/api/v1/namespaces/{namespace}/pods",
            {
                "metadata": {"name": name, "labels": {pods.QOS_CLASS: "LSR"}},
                "spec": {
                    "nodeName": NODE,
                    "containers": [
                        {"name": "main", "image": "any", "resources": {"requests": resources, "limits": resources}}
                    ],
                },
            },
        )
        asked = {"cpu_request_m": milli, "cpu_limit_m": milli, "memory_limit": 64 * pods.MIB}
        labels = {pods.QOS_CLASS: "LSR"}
        pod = kubelet.run_pod(name, namespace=namespace, uid=made["metadata"]["uid"], qos="Guaranteed", labels=labels)
        return kubelet.run_container(pod, command=command, **asked)

    def reported(container: Container, kind: str, reason: str) -> str:
        """What the Event says; there is but one of the reason."""
        items = plane.call("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
        about = [e for e in items if (e["involvedObject"]["uid"], e["reason"]) == (container.pod.uid, reason)]
        assert [(e["type"], e.get("count", 1)) for e in about] == [(kind, 1)]
        return str(about[0]["message"])

    def eventually_reported(container: Container, kind: str, reason: str) -> str:
        return eventually(lambda: reported(container, kind, reason), f"{reason} of {container.pod.name}")

    job, other = lsr("job", 1000 * len(ALL), UNTIL_STOPPED), pods.plain(kubelet)
    waiting, fraction = lsr("waiting", 1000), lsr("fraction", 500)
    assert eventually_reported(job, "Normal", "ExclusiveCPUs") == f"container main has CPUs {ALL} for itself"
    why = "container main shares CPUs, though it wants 1 exclusive CPU: "
    assert eventually_reported(waiting, "Warning", "NoExclusiveCPUs").startswith(why)
    why = "container main shares CPUs: its CPU limit of 500m is no whole number of CPUs"
    assert eventually_reported(fraction, "Warning", "SharesCPUs") == why

    kubelet.finish(job)
    # Kubelet might start it again: nobody moves in. The runtime reports the end before it asks for the next container.
    again = lsr("again", 1000)
    assert kubelet.runs_on(again) == ALL
    plane.delete(f"/api/v1/namespaces/{namespace}/pods/again")
    kubelet.end_pod(again.pod)
    assert kubelet.runs_on(waiting) == ALL

    plane.patch(f"/api/v1/namespaces/{namespace}/pods/job/status", {"status": {"phase": phase}})

    own = CPUSet.parse(eventually_reported(waiting, "Normal", "ExclusiveCPUs").split()[4])
    assert len(own) == 1
    eventually(lambda: kubelet.runs_on(waiting) == own, f"it to run on {own}")
    for sharer in (other, fraction):
        assert kubelet.runs_on(sharer) == ALL - own
    status = kubelet.cri.call("PodSandboxStatus", pod_sandbox_id=job.pod.sandbox_id).status
    assert status.state == kubelet.cri.messages.SANDBOX_READY


BY_LABELS = {
    "koordnri-config": json.dumps(
        {"clusterStrategy": {"trust": {"resourceStatus": {"namespaceSelector": {"matchLabels": {"team": "hpc"}}}}}}
    )
}


@pytest.fixture
def may_watch_namespaces(deployed: Deployed) -> Iterator[None]:
    """The daemon's role as the component deploy/namespaces makes it."""
    with deployed.extended("namespaces"):
        yield


class Tenant:
    """Makes pods of one CPU in the API server, and runs them as kubelet would."""

    def __init__(self, plane: ControlPlane, kubelet: Kubelet, namespace: str) -> None:
        self.plane, self.kubelet, self.namespace = plane, kubelet, namespace

    def run(self, name: str, scheduler: str, assigned: str) -> Container:
        """A pod to which its annotation assigns these CPUs."""
        from tests.e2e import pods

        resources = {"requests": {"cpu": "1"}}
        spec: dict[str, Any] = {"nodeName": NODE, "schedulerName": scheduler}
        spec["containers"] = [{"name": "main", "image": "any", "resources": resources}]
        annotations = {pods.RESOURCE_STATUS: json.dumps({"cpuset": assigned})}
        labels = {pods.QOS_CLASS: "LS"}
        metadata = {"name": name, "annotations": annotations, "labels": labels}
        made = self.plane.create(f"/api/v1/namespaces/{self.namespace}/pods", {"metadata": metadata, "spec": spec})
        pod = self.kubelet.run_pod(
            name,
            namespace=self.namespace,
            uid=made["metadata"]["uid"],
            labels=labels,
            annotations={SOURCE_KEY: "api", **annotations},
        )
        return self.kubelet.run_container(pod, cpu_request_m=1000)

    def end(self, container: Container) -> None:
        self.plane.delete(f"/api/v1/namespaces/{self.namespace}/pods/{container.pod.name}")
        self.kubelet.end_pod(container.pod)

    def refusal(self, container: Container) -> str:
        """The message of the Event NotEntitled on its pod."""

        def message() -> str:
            items = self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
            about = [e for e in items if e["involvedObject"]["uid"] == container.pod.uid]
            return next((str(e["message"]) for e in about if e["reason"] == "NotEntitled"), "")

        return eventually(message, f"NotEntitled of {container.pod.name}")


@pytest.mark.usefixtures("daemon", "may_watch_namespaces")
def test_what_the_api_server_knows_of_a_tenants_pod_decides_what_is_believed(
    plane: ControlPlane, deployed: Deployed, kubelet: Kubelet, namespace: str
) -> None:
    tenant, own = Tenant(plane, kubelet, namespace), CPUSet.parse("1")

    def runs_on(container: Container, cpus: CPUSet) -> None:
        eventually(lambda: kubelet.runs_on(container) == cpus, f"{container.pod.name} to run on {cpus}")

    # By scheduler, and by request.
    by_itself = tenant.run("by-itself", "default-scheduler", "1")
    assert "it has schedulerName default-scheduler" in tenant.refusal(by_itself)
    scheduled = tenant.run("scheduled", "koord-scheduler", "1")
    runs_on(scheduled, own)
    runs_on(by_itself, ALL - own)
    greedy = tenant.run("greedy", "koord-scheduler", str(ALL))
    assert f"it names {len(ALL)} CPUs ({ALL}), and the pod requests 1" in tenant.refusal(greedy)
    for container in (scheduled, greedy):
        tenant.end(container)
    runs_on(by_itself, ALL)

    # By the labels of its namespace.
    deployed.write_policy(BY_LABELS)
    plane.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"team": "hpc"}}})
    runs_on(by_itself, own)
    plane.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"team": None}}})
    runs_on(by_itself, ALL)


def evicting(mode: str) -> dict[str, str]:
    """Any node uses 1 % of its memory, so every BE pod is to go: one after the other."""
    evict = {"mode": mode, "perMinute": 60, "burst": 1}
    return {
        "resource-threshold-config": json.dumps(
            {"clusterStrategy": {"enable": True, "memoryEvictThresholdPercent": 1}}
        ),
        "koordnri-config": json.dumps({"clusterStrategy": {"controllers": {"evict": evict}}}),
    }


@pytest.mark.usefixtures("daemon", "may_evict")
def test_memory_pressure_evicts_the_right_pod_and_a_budget_forbids_it(
    plane: ControlPlane, deployed: Deployed, kubelet: Kubelet, namespace: str
) -> None:
    crowd = Crowd(plane, kubelet, namespace)
    for name, qos_class, priority in (("service", "LS", 100), ("protected", "BE", 200), ("batch", "BE", 300)):
        crowd.run(name, qos_class, priority)
    budget(plane, namespace, "protected", allowed=0)

    deployed.write_policy(evicting("observe"))
    eventually(lambda: ("protected", "WouldEvict") in crowd.events(), "it to be reported")
    assert crowd.leaving() == set()

    deployed.write_policy(evicting("enforce"))
    eventually(lambda: ("protected", "EvictionRefused") in crowd.events(), "the budget's pod to be refused")
    eventually(lambda: ("batch", "Evicted") in crowd.events(), "the next one to be evicted")
    assert crowd.leaving() == {"batch"}
    assert not any(name == "service" for name, _ in crowd.events())


VERIFY = "koordnri-verify"


def verifying(daemon: Daemon, kubeconfig: Path) -> subprocess.Popen[str]:
    """`koordnri verify` with JSON, as it begins."""
    command = [sys.executable, "-c", "from koordnri.cli import main; main()", "verify", "-o", "json", "--timeout", "30"]
    command += ["--state-dir", str(daemon.state_dir), "--kubeconfig", str(kubeconfig)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_verify_finds_each_class_as_expected_with_the_rights_of_its_component_and_leaves_no_pod(
    plane: ControlPlane, deployed: Deployed, kubelet: Kubelet, daemon: Daemon, tmp_path: Path
) -> None:
    from tests.kube.node_agent import NodeAgent

    before = daemon.metric("koordnri_policy_accepted_total")
    deployed.write_policy(NONE_KEPT)
    eventually(lambda: daemon.metric("koordnri_policy_accepted_total") > before, "the policy to be taken")
    kubeconfig = tmp_path / "kubeconfig"
    refused = verifying(daemon, kubeconfig)
    assert "verbs: [create, get, delete]" in refused.communicate(timeout=60)[1]
    assert refused.returncode == 2
    grant(plane, "verify")
    agent = NodeAgent(plane, kubelet, NODE, VERIFY)

    process = verifying(daemon, kubeconfig)

    def ended() -> bool:
        agent.step()
        return process.poll() is not None

    eventually(ended, "koordnri verify to end", 60)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    lsr, ls, be, plain = json.loads(out)["classes"]
    assert [one["problems"] for one in (lsr, ls, be, plain)] == [[], [], [], []]
    assert (lsr["exclusiveCPUs"], len(CPUSet.parse(lsr["found"]["cpu.cpus"]))) == (1, 1)
    assert lsr["found"]["cpu.quota"] == -1
    assert not CPUSet.parse(lsr["found"]["cpu.cpus"]) & CPUSet.parse(ls["found"]["cpu.cpus"])
    assert (be["found"]["cpu.quota"], be["found"]["memory.limit"]) == (20_000, 64 << 20)
    assert plain["found"]["cpu.quota"] == 20_000
    agent.step()
    assert plane.call("GET", f"/api/v1/namespaces/{VERIFY}/pods")["items"] == []
    assert len(agent.seen) == 4
