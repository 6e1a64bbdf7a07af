"""Whatever stands in any annotation: the other hooks decide as if it were not there, nothing is a bug, and the pod's owner gets an Event
that names the key. By all hooks together, as they are installed.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import CapturingLogger

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.model import Container, Decision, Event, KubeQoS, Pod, Resources
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.observe.decisions import DecisionLog
from tests.hooks.annotated_node import NODE, POLICY
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod

STATUS = "scheduling.koordinator.sh/resource-status"
SPEC = "scheduling.koordinator.sh/resource-spec"
DEVICES = "scheduling.koordinator.sh/device-allocated"
EXTENDED = "node.koordinator.sh/extended-resource-spec"
RESCTRL = "node.koordinator.sh/resctrl"
CPU_QOS, MEMORY_QOS = "koordinator.sh/cpuQOS", "koordinator.sh/memoryQOS"
BURST, BLKIO = "koordinator.sh/cpuBurst", "koordinator.sh/blkioQOS"

UNDER = Snapshot.of(POLICY, NODE)
BATCH = {"kubernetes.io/batch-cpu": "500", "kubernetes.io/batch-memory": "1Gi"}
GOOD: dict[str, Any] = {
    DEVICES: {"gpu": [{"minor": 0}]},
    EXTENDED: {"containers": {"main": {"limits": BATCH, "requests": BATCH}}},
    CPU_QOS: {"enable": True, "groupIdentity": 1},
    MEMORY_QOS: {"policy": "auto", "lowLimitPercent": 30},
    BURST: {"policy": "auto", "cpuBurstPercent": 50},
    BLKIO: {"blocks": [{"name": "/dev/sda", "type": "device", "ioCfg": {"readBPS": 1048576}}]},
}
HUGE = "x" * 300_000
ANY_KEY = ["{", "", "[]", "7", '"text"', '{"a":', "[" * 16_000, HUGE, f'"{HUGE}"', "\x00", '{"a": NaN}']
OWN: dict[str, list[Any]] = {
    STATUS: [
        {"cpuset": "16-17"},
        {"cpuset": "4-2"},
        {"cpuset": "-1"},
        {"cpuset": ["1"]},
        {"cpuset": "0-4000000000"},
        {"cpuset": "1," * 8000 + "9000"},
        {"numaNodeResources": [{"node": 0, "resources": {"cpu": "many"}}]},
        {"numaNodeResources": [{"node": 2**70, "resources": {"cpu": 1}}]},
        {"numaNodeResources": 3},
    ],
    SPEC: [{"preferredCPUBindPolicy": "Both"}, {"preferredCPUExclusivePolicy": 1}, {"requiredCPUBindPolicy": HUGE[:9]}],
    DEVICES: [
        {"gpu": [{"minor": -1}]},
        {"gpu": [{"minor": 2**80}]},
        {"gpu": [{"minor": "0"}]},
        {"gpu": {"minor": 0}},
        {"gpu": [{"minor": i} for i in range(1000)]},
        {"rdma": [{"minor": 0, "id": 5}]},
    ],
    EXTENDED: [
        {"containers": {"main": {"limits": {"kubernetes.io/batch-cpu": "-500", "kubernetes.io/batch-memory": "-1"}}}},
        {"containers": {"main": {"limits": {"kubernetes.io/batch-cpu": "1e30", "kubernetes.io/batch-memory": "99E"}}}},
        {"containers": {"main": []}},
        {"containers": 1},
    ],
    RESCTRL: [
        {"llc": {"schemata": {"range": [80, 20]}}},
        {"llc": {"schemata": {"range": [0, 101]}}},
        {"llc": {"schemataPerCache": [{"cacheID": 9, "range": [0, 50]}]}},
        {"mb": {"schemata": {"percent": 0}}},
        {"mb": {"schemataPerCache": [{"cacheID": 0, "percent": 20}] * 2}},
        {"llc": {"schemataPerCache": [{"cacheID": i, "range": [0, 50]} for i in range(400)]}},
    ],
    CPU_QOS: [{"enable": True, "groupIdentity": 3}, {"enable": "yes"}, {"groupIdentity": -2}],
    MEMORY_QOS: [{"policy": "all"}, {"minLimitPercent": -1}, {"throttlingPercent": 101}, {"priority": "first"}],
    BURST: [{"policy": "never"}, {"cpuBurstPercent": 0}, {"cpuBurstPercent": 10**40}, {"cfsQuotaBurstPercent": 5}],
    BLKIO: [
        {"blocks": [{"name": "/dev/nowhere", "type": "device", "ioCfg": {"readBPS": 1}}]},
        {"blocks": [{"name": "/dev/sda", "type": "tape"}]},
        {"blocks": [{"name": "/dev/sda", "type": "device", "ioCfg": {"readBPS": -1}}]},
        {"blocks": 4},
    ],
}
HOOK = {
    STATUS: "cpuset",
    SPEC: "cpuset",
    DEVICES: "gpu",
    EXTENDED: "memory cfs_quota",
    RESCTRL: "rdt",
    CPU_QOS: "cfs_quota",
    MEMORY_QOS: "memory",
    BURST: "cfs_quota",
    BLKIO: "blkio",
}
HOOKS = ("cpuset", "cfs_quota", "memory", "rdt", "blkio", "gpu")
QOS = {EXTENDED: ("BE", BESTEFFORT), SPEC: ("LSR", GUARANTEED)}
OF_THE_POD = (CPU_QOS,)
"""Counts for the pod's own cgroup only."""
CASES = [(key, text if isinstance(text, str) else json.dumps(text)) for key in OWN for text in [*ANY_KEY, *OWN[key]]]


class Decided:
    """One pod, decided as a whole by all hooks; `events` is what its owner is informed of."""

    def __init__(self, key: str, text: str | None) -> None:
        self.events: list[str] = []
        qos, parent = QOS.get(key, ("LS", BURSTABLE))
        one: Pod = pod(qos, parent, {**GOOD, key: text} if text is not None else {k: GOOD[k] for k in GOOD if k != key})
        one.spec = PodSpec({"main": ContainerSpec({"memory": "1Gi"}, {})})
        chain, log = Chain(load_hooks()), DecisionLog(CapturingLogger(), warn_pod=self._report)
        asked = Resources(cpu_shares=2048, cpu_quota=200_000, cpu_period=100_000, memory_limit=1 << 31)
        container = Container("c1", "main", one.id, asked)
        self.container = chain.decide_container(one, container, Event.CREATE, UNDER)
        log.decided(one, container, Event.CREATE, self.container)
        self.pod = chain.decide_pod(one, UNDER, [container])
        log.decided_again(one, "", self.pod)
        self.of_class = chain.decide_class(KubeQoS.BURSTABLE, [one], UNDER)

    def _report(self, of: Pod, reason: str, message: str) -> None:
        if reason != "QoSSettingIgnored":  # what is unknown costs nothing
            assert reason == "InvalidQoSAnnotation"
            self.events.append(message)

    @property
    def decisions(self) -> tuple[Decision, Decision, Decision]:
        return self.container, self.pod, self.of_class

    @property
    def faults(self) -> set[str]:
        return {error.fault for decision in self.decisions for error in decision.errors}


def settings_of(decision: Decision, without: str) -> dict[str, Any]:
    return {name: s.value for name, s in decision.settings.items() if s.hook not in without.split()}


def test_the_good_ones_are_decided_by_every_hook() -> None:
    """Else what follows would compare nothing with nothing."""
    for key in OWN:
        decided = Decided(key, json.dumps(GOOD.get(key, {})))
        assert decided.faults == set()
        assert decided.events == []
        hooks = {s.hook for decision in decided.decisions for s in decision.settings.values()}
        # A BestEffort container runs where its parent does.
        assert hooks | ({"cpuset"} if key == EXTENDED else set()) == {*HOOKS}


@pytest.mark.parametrize(("key", "text"), CASES, ids=[f"{k.rpartition('/')[2]}-{i}" for i, (k, _) in enumerate(CASES)])
def test_a_bad_annotation_costs_its_own_hooks_fields_and_is_reported_with_its_key(key: str, text: str) -> None:
    bad, without = Decided(key, text), Decided(key, None)
    assert bad.faults == {"pod"}
    for one, other in ((bad.container, without.container), (bad.pod, without.pod)):
        assert settings_of(one, HOOK[key]) == settings_of(other, HOOK[key])
    errors = [e for decision in (bad.container, bad.pod) for e in decision.errors]
    assert {e.hook for e in errors} <= set(HOOK[key].split())
    if key not in OF_THE_POD:
        assert bad.container.errors
    assert bad.events
    for message in (*bad.events, *(e.message for e in errors)):
        assert key in message
        assert len(message) < 2000


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def shapes_like(value: Any) -> st.SearchStrategy[Any]:
    """What looks like a good value, of which any part may be anything."""
    if isinstance(value, dict):
        return ANYTHING | st.fixed_dictionaries({}, optional={k: shapes_like(v) for k, v in value.items()})
    if isinstance(value, list):
        return ANYTHING | st.lists(shapes_like(value[0]) if value else ANYTHING, max_size=3)
    return st.just(value) | ANYTHING


NEARLY = {key: [bad for bad in OWN[key] if isinstance(bad, dict)] + ([GOOD[key]] if key in GOOD else []) for key in OWN}


@given(data=st.data(), key=st.sampled_from(sorted(OWN)))
def test_nothing_that_looks_like_an_annotation_is_a_bug_or_costs_another_hook(data: st.DataObject, key: str) -> None:
    text = json.dumps(data.draw(shapes_like(data.draw(st.sampled_from(NEARLY[key])))))
    bad, without = Decided(key, text), Decided(key, None)
    assert bad.faults <= {"pod"}
    # Whose CPUs are his own loses his quota, and of that the burst.
    others = HOOK[key] + (" cfs_quota" if key == STATUS else "")
    for one, other in ((bad.container, without.container), (bad.pod, without.pod)):
        assert settings_of(one, others) == settings_of(other, others)
