"""What another policy would change of applications outside of pods, against what the reconciler then really changes."""

from __future__ import annotations

from typing import Any

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.running_pods import RunningPods
from koordnri.reconcile.host_applications import host_applications
from tests.host.fake_kernel import Cgroup
from tests.reconcile.fake_node import MIB, FakeNode
from tests.support.policies import policy_of

HOME = "host-best-effort/job"
JOB: dict[str, Any] = {
    "host_application_config": {"applications": [{"name": "job", "qos": "BE"}]},
    "resource_qos_config": {
        "clusterStrategy": {
            "beClass": {
                "cpuQOS": {"enable": True, "schedIdle": 1},
                "memoryQOS": {"enable": True, "throttlingPercent": 50},
            }
        }
    },
}


def differences(node: FakeNode, **new: Any) -> dict[str, tuple[Any, Any, str]]:
    """Field → (value before, after, whose it is) of host applications, against another policy."""
    after = Snapshot.of(policy_of(**new), node.state)
    cgroups = {one.cgroup for at in (node.snapshot, after) for one in host_applications([], at)}
    above = RunningPods(node.ledger, node.machine).above(cgroups)
    found = compare(Chain(load_hooks()), [], node.snapshot, after, above).differences
    return {d.field: (d.before, d.after, d.kube_class) for d in found if d.kube_class.startswith("host:")}


def node_with(**policy: Any) -> FakeNode:
    node = FakeNode(2)
    node.kernel.cgroups[HOME] = Cgroup(limit=64 * MIB)
    node.set_policy(**policy)
    node.run_pass()
    return node


def test_an_application_that_a_policy_names_gets_what_its_class_has() -> None:
    expected = {"cpu.idle": (0, 1, "host:job"), "memory.high": (-1, 32 * MIB, "host:job")}
    node = node_with()
    assert differences(node, **JOB) == expected
    node.set_policy(**JOB)
    node.run_pass()
    assert (node.kernel.cgroups[HOME].idle, node.kernel.cgroups[HOME].high) == (1, 32 * MIB)


def test_one_that_it_names_no_longer_gets_back_what_it_had() -> None:
    node = node_with(**JOB)
    found = differences(node)
    assert found["cpu.idle"] == (1, 0, "host:job")
    assert found["memory.high"][0] == 32 * MIB


def test_one_that_stays_does_not_change() -> None:
    assert differences(node_with(**JOB), **JOB) == {}
