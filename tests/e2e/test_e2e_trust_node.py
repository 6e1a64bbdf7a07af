"""What a tenant could take from others by what it writes itself: not believed by default, and allowed by rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from koordnri.model import CPUSet
from koordnri.model.pod import SOURCE_KEY
from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.test_e2e_map_top import asked
from tests.support.waiting import eventually

RESCTRL = "node.koordinator.sh/resctrl"
DEVICES = "NVIDIA_VISIBLE_DEVICES"
DENYING = {"hooks": {"gpu": {"denyWithoutRequest": True}}}
HERE = {"namespaces": ["default"]}
ALLOWING = {"withoutSpec": "believe", **dict.fromkeys(("systemClass", "resctrl", "ioLatency"), HERE)}
RULES = {"draDrivers", "systemClass", "resctrl", "ioLatency"}


def policy(**trust: object) -> str:
    return json.dumps({"koordnri-config": {"clusterStrategy": {**DENYING, "trust": trust}}})


def variable(kubelet: Kubelet, container: Container) -> str:
    """What the container's process has in the variable."""
    lines = Path(f"/proc/{kubelet.pid(container)}/environ").read_text().split("\0")
    return next(line.partition("=")[2] for line in lines if line.startswith(DEVICES))


def test_what_concerns_the_node_counts_only_of_those_whom_the_policy_lists(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon]
) -> None:
    daemon = new_daemon(policy=policy())
    daemon.start()
    block = {"name": pods.disk()[0], "ioCfg": {"ioLatencyTarget": 1}}
    wishes = {
        SOURCE_KEY: "api",  # as kubelet reports a tenant's pod; those of these tests are static otherwise
        RESCTRL: json.dumps({"llc": {"schemata": {"range": [0, 100]}}}),
        pods.BLKIO_QOS: json.dumps({"blocks": [block]}),
    }
    env = {"DRA_CPUSET_claim": "1", DEVICES: "all"}
    greedy = kubelet.run_pod(labels={pods.QOS_CLASS: "SYSTEM"}, annotations=wishes)
    first = kubelet.run_container(greedy, env=env)
    neighbour = kubelet.run_container(kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}))

    def outcomes() -> dict[str, str]:
        shape = asked(daemon, "explain", f"default/{greedy.name}")
        return {verdict["rule"]: verdict["outcome"] for verdict in shape["trust"]}

    def cpus() -> CPUSet:
        return kubelet.runs_on(neighbour)  # on v2 the file of whoever has all CPUs is empty

    assert outcomes() == {rule: "unknown" if rule == "draDrivers" else "refused" for rule in RULES}
    assert 1 in cpus()
    assert variable(kubelet, first) == "void"
    assert daemon.metric("koordnri_trust_refusals_total", rule="resctrl", outcome="refused") == 1

    daemon.policy_file.write_text(policy(**ALLOWING))
    eventually(lambda: outcomes() == dict.fromkeys(RULES, "believed"), "all of it to be believed")
    eventually(lambda: 1 not in cpus(), "the neighbour to leave the claimed CPU")
    assert variable(kubelet, kubelet.run_container(greedy, "second", env={DEVICES: "all"})) == "all"
