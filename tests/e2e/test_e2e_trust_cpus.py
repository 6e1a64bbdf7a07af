"""What a tenant's pod asks for and the policy gives to others only: refused by default, given to a namespace that the policy lists."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from koordnri.model import CPUSet
from koordnri.model.pod import SOURCE_KEY
from tests.e2e import pods
from tests.e2e.containerd import Containerd
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import MIB, QOS_CLASS
from tests.support.waiting import eventually

ALL = CPUSet(os.sched_getaffinity(0))
PINNED = CPUSet.parse(pods.PINNED_CPUS)
TRUSTED, TENANT = "trusted", "tenant"
POLICY = f"""koordnri-config:
  clusterStrategy:
    hooks: {{cpuset: {{minSharedCPUs: 0}}}}
    trust:
      resourceStatus: {{namespaces: [{TRUSTED}]}}
      extendedResourceSpec: {{namespaces: [{TRUSTED}]}}
      exclusiveCPUs: {{namespaces: [{TRUSTED}], maxPerNamespace: 1}}
"""


@pytest.fixture(scope="module")
def daemon(runtime: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the whole file."""
    own = Daemon(runtime.nri_socket, tmp_path_factory.mktemp("daemon"), policy=POLICY)
    try:
        own.start()
        yield own
    finally:
        print(f"--- end of {own.log}\n{own.log_tail()}")
        own.stop()


def run(kubelet: Kubelet, namespace: str, qos: str, cpus: int, **annotations: str) -> Container:
    """A container of a pod that kubelet has from an API server."""
    asked = {"cpu_request_m": cpus * 1000, "cpu_limit_m": cpus * 1000, "memory_limit": 64 * MIB} if cpus else {}
    pod = kubelet.run_pod(
        namespace=namespace,
        qos="Guaranteed" if cpus else "BestEffort",
        labels={QOS_CLASS: qos},
        annotations={SOURCE_KEY: "api", **annotations},
        **asked,
    )
    return kubelet.run_container(pod, **asked)


@pytest.mark.usefixtures("daemon")
def test_cpus_of_a_scheduler_are_believed_of_whom_the_policy_lists(kubelet: Kubelet) -> None:
    status = {pods.RESOURCE_STATUS: json.dumps({"cpuset": pods.PINNED_CPUS})}
    refused = run(kubelet, TENANT, "LS", 1, **status)
    assert kubelet.runs_on(refused) == ALL
    assert kubelet.read(refused, "cpu.quota") == 100_000
    listed = run(kubelet, TRUSTED, "LS", 1, **status)
    pods.check_pinned(kubelet, listed)
    eventually(lambda: kubelet.runs_on(refused) == ALL - PINNED, "the tenant to leave another pod's CPUs")
    # Believed, but another pod has them.
    later = run(kubelet, TRUSTED, "LS", 1, **status)
    assert kubelet.runs_on(later) == ALL - PINNED
    kubelet.end_pod(listed.pod)
    eventually(lambda: kubelet.runs_on(later) == PINNED, "its CPUs, which are free now")


def test_batch_resources_by_an_annotation_alone_are_believed_of_whom_the_policy_lists(
    kubelet: Kubelet, daemon: Daemon
) -> None:
    amounts = {"kubernetes.io/batch-cpu": str(pods.BATCH_CPU_M), "kubernetes.io/batch-memory": str(pods.BATCH_MEMORY)}
    spec = {"containers": {"main": {"requests": amounts, "limits": amounts}}}
    batch = {pods.EXTENDED_RESOURCES: json.dumps(spec)}
    before = daemon.metric("koordnri_trust_refusals_total", rule="extendedResourceSpec", outcome="unknown")
    refused = run(kubelet, TENANT, "BE", 0, **batch)
    assert not kubelet.has_shares(refused, pods.BATCH_SHARES)
    assert daemon.metric("koordnri_trust_refusals_total", rule="extendedResourceSpec", outcome="unknown") == before + 1
    pods.check_batch(kubelet, run(kubelet, TRUSTED, "BE", 0, **batch))


def test_exclusive_cpus_are_given_to_whom_the_policy_lists(kubelet: Kubelet, daemon: Daemon) -> None:
    refused = run(kubelet, TENANT, "LSR", 1)
    assert kubelet.runs_on(refused) == ALL
    owner = run(kubelet, TRUSTED, "LSR", 1)
    assert len(kubelet.runs_on(owner)) == 1
    eventually(lambda: kubelet.runs_on(refused) == ALL - kubelet.runs_on(owner), "the tenant to leave them")
    # Listed, but its namespace has as many as it may have.
    later = run(kubelet, TRUSTED, "LSR", 1)
    assert kubelet.runs_on(later) == ALL - kubelet.runs_on(owner)
    kubelet.end_pod(owner.pod)
    eventually(lambda: len(kubelet.runs_on(later)) == 1, "the CPU that its namespace may have again")
    assert daemon.metric("koordnri_trust_refusals_total", rule="exclusiveCPUs", outcome="refused") >= 1
