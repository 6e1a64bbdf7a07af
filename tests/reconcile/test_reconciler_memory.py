"""Memory of classes, pods and containers on a fake kernel, under policies and pods that come and go."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.host.cgroup.change import Status
from koordnri.model import Pod
from koordnri.model.node import MAINLINE_V2_FILES
from tests.examples import examples
from tests.host.fake_kernel import ALIBABA
from tests.reconcile.fake_node import MIB, FakeNode, batch_of, statuses

ROOT, BURSTABLE, BESTEFFORT = "kubepods", "kubepods/burstable", "kubepods/besteffort"
QOS = "koordinator.sh/memoryQOS"


def memory(**by_class: dict[str, Any]) -> dict[str, Any]:
    """A policy with memoryQOS enabled for these classes."""
    classes = {f"{name}Class": {"memoryQOS": {"enable": True, **asked}} for name, asked in by_class.items()}
    return {"resource_qos_config": {"clusterStrategy": classes}}


def protected(node: FakeNode) -> dict[str, tuple[int, int]]:
    """Cgroup → (memory.min, memory.low) in MiB, of those that have any."""
    return {path: (c.min // MIB, c.low // MIB) for path, c in node.kernel.cgroups.items() if c.min or c.low}


def node_with(version: int = 2, alibaba: bool = False, **policy: Any) -> FakeNode:
    node = FakeNode(version)
    node.kernel.sums = True
    node.state = dataclasses.replace(node.state, cgroup_driver="cgroupfs")
    if alibaba:
        node.kernel.alibaba = True
        files = {*ALIBABA, "memory.min", "memory.low", "memory.high", "memory.oom.group"}
        seen = {f"memory/{name}" for name in files} if version == 1 else MAINLINE_V2_FILES | files
        node.state = dataclasses.replace(node.state, cgroup_files=frozenset(seen))
    node.set_policy(**policy)
    return node


def test_container_pod_class_and_root_are_protected_and_all_of_it_is_taken_back() -> None:
    node = node_with(**memory(ls={"minLimitPercent": 50, "lowLimitPercent": 80}, be={"minLimitPercent": 10}))
    web = node.container(node.pod("web", "LS", requests={"main": "100Mi", "side": "20Mi"}))
    db = node.container(node.pod("db", "LSR", "Guaranteed", memory_limit=64 * MIB), memory_limit=64 * MIB)
    job = node.container(node.pod("job", "BE", "BestEffort", batch_of(main=(500, 100))))
    node.run_pass()
    assert protected(node) == {
        ROOT: (60 + 10, 96),
        BURSTABLE: (60, 96),
        f"{BURSTABLE}/web": (60, 96),
        web: (50, 80),
        BESTEFFORT: (10, 0),
        f"{BESTEFFORT}/job": (10, 0),
        job: (10, 0),
    }
    assert node.kernel.cgroups[db].min == 0
    assert statuses(node.run_pass("asked")) == {Status.SAME}

    node.ledger.forget_pod("job")
    node.run_pass()
    assert protected(node)[ROOT] == (60, 96)
    assert BESTEFFORT not in protected(node)

    node.set_policy()
    node.run_pass()
    assert {path: kept for path, kept in protected(node).items() if "job" not in path} == {}
    assert node.ledger.all_originals() == {}


def test_what_kubelet_had_protected_of_a_class_comes_back() -> None:
    node = node_with(**memory(ls={"minLimitPercent": 50}))
    for path in (ROOT, BURSTABLE):
        node.kernel.cgroups[path].min = 30 * MIB
    node.container(node.pod("web", "LS", requests={"main": "100Mi"}))
    node.run_pass()
    assert protected(node)[BURSTABLE] == (50, 0)
    again = node.restarted()
    again.kernel.sums = True
    again.set_policy()
    again.run_pass()
    assert protected(again) == {ROOT: (30, 0), BURSTABLE: (30, 0)}


@pytest.mark.parametrize("version", [1, 2])
def test_an_alibaba_kernels_files_are_set_on_classes_pods_and_containers_and_taken_back(version: int) -> None:
    asked = {
        "minLimitPercent": 50,
        "priorityEnable": 1,
        "priority": 6,
        "oomKillGroup": 1,
        "pageCacheLimitPercent": 25,
        "pageCacheReclaimSync": True,
    }
    node = node_with(version, alibaba=True, **memory(ls=asked))
    pod = node.pod("web", "LS", requests={"main": "40Mi"}, memory_limit=80 * MIB)
    main = node.container(pod, memory_limit=80 * MIB)
    node.kernel.cgroups[main].numbers["memory.oom.group"] = 1
    assert statuses(node.run_pass()) <= {Status.SAME, Status.WRITTEN}
    plain = {
        "memory.wmark_ratio": 95,
        "memory.wmark_scale_factor": 20,
        "memory.wmark_min_adj": -25,
        "memory.priority": 6,
        "memory.use_priority_oom": 1,
        "memory.oom.group": 1,
    }
    numbers = {path: c.numbers for path, c in node.kernel.cgroups.items() if c.numbers}
    assert numbers == {
        ROOT: {"memory.use_priority_oom": 1},
        BURSTABLE: {"memory.use_priority_oom": 1, "memory.priority": 6},
        f"{BURSTABLE}/web": plain
        | {
            "memory.pagecache_limit.enable": 1,
            "memory.pagecache_limit.size": 20 * MIB,
            "memory.pagecache_limit.sync": 1,
        },
        main: plain,
    }
    assert protected(node) == dict.fromkeys((ROOT, BURSTABLE, f"{BURSTABLE}/web", main), (20, 0))

    node.set_policy()
    node.run_pass()
    left = {
        (path, name)
        for path, c in node.kernel.cgroups.items()
        for name, value in c.numbers.items()
        if name in ALIBABA and value != ALIBABA[name][0]
    }
    assert left == set()
    assert protected(node) == {}


def test_on_v1_of_mainline_nothing_is_tried_that_has_no_file() -> None:
    asked = {
        "minLimitPercent": 50,
        "throttlingPercent": 50,
        "oomKillGroup": 1,
        "priority": 3,
        "pageCacheLimitSize": "1Mi",
    }
    node = node_with(1, **memory(ls=asked))
    node.container(node.pod("web", "LS", requests={"main": "40Mi"}, memory_limit=80 * MIB), memory_limit=80 * MIB)
    for trigger in ("change", "sweep"):
        assert statuses(node.run_pass(trigger)) <= {Status.SAME}
    assert node.warnings() == []
    assert node.kernel.log == []


# any pods, any policies

percents = st.fixed_dictionaries(
    {name: st.integers(0, 100) for name in ("minLimitPercent", "lowLimitPercent", "throttlingPercent")}
)
policies = st.fixed_dictionaries({}, optional=dict.fromkeys(("lsr", "ls", "be"), percents))
annotations = st.none() | percents | st.just({"policy": "none"}) | percents.map(lambda p: {"policy": "auto", **p})


def any_pod(data: st.DataObject, node: FakeNode, name: str) -> Pod:
    wanted = data.draw(annotations)
    note = {} if wanted is None else {QOS: json.dumps(wanted)}
    mib = st.integers(0, 100)
    kind = data.draw(st.sampled_from(["LS", "LSR", "BE", "unknown"]))
    if kind == "LSR":
        limit = (data.draw(mib) + 1) * MIB
        pod = node.pod(name, "LSR", "Guaranteed", note, memory_limit=limit)
        node.container(pod, memory_limit=limit)
    elif kind == "BE":
        sizes = {"main": (100, data.draw(mib)), "side": (100, data.draw(mib))}
        pod = node.pod(name, "BE", "BestEffort", {**batch_of(**sizes), **note})
        for container in sizes:
            node.container(pod, container)
    else:
        requests = {container: f"{data.draw(mib)}Mi" for container in ("main", "side")}
        pod = node.pod(name, "LS", annotations=note, requests=requests if kind == "LS" else None)
        for container in requests:
            node.container(pod, container)
    for path, cgroup in node.kernel.cgroups.items():
        if path.startswith(f"{pod.cgroup_parent.strip('/')}/"):
            # The runtime makes it with what is decided before those above have theirs. Here it is made without, and then follows.
            cgroup.min = cgroup.low = 0
    return pod


@given(data=st.data())
@settings(deadline=None, max_examples=examples(50))
def test_whatever_comes_and_goes_nobody_is_ever_protected_by_more_than_what_is_above(data: st.DataObject) -> None:
    node = node_with()
    pods: list[Pod] = []
    for step in range(data.draw(st.integers(1, 5))):
        match data.draw(st.sampled_from(["policy", "pod", "gone"])):
            case "policy":
                node.set_policy(**memory(**data.draw(policies)))
            case "pod":
                pods.append(any_pod(data, node, f"p{step}"))
            case "gone" if pods:
                pod = pods.pop()
                node.ledger.forget_pod(pod.id)
                parent = pod.cgroup_parent.strip("/")
                for path in [p for p in node.kernel.cgroups if f"{p}/".startswith(f"{parent}/")]:
                    del node.kernel.cgroups[path]
        node.run_pass()
        assert node.kernel.violations == []
        assert statuses(node.run_pass("sweep")) <= {Status.SAME}
    node.set_policy()
    for pod in pods:
        node.report_again(pod, {k: v for k, v in pod.annotations.items() if k != QOS})
    node.run_pass()
    assert protected(node) == {}
    assert node.kernel.violations == []
