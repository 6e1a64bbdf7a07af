"""However often a pod with bad annotations is decided, it costs no more memory than the first time."""

from __future__ import annotations

import gc
import sys

import pytest
from structlog.testing import CapturingLogger

from koordnri.chain import Chain, load_hooks
from koordnri.model import Container, Event, Pod, Resources
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.observe.decisions import DecisionLog
from tests.hooks.test_bad_annotations import BATCH, CASES, GOOD, OWN, QOS, UNDER
from tests.support.pods import BESTEFFORT, BURSTABLE, pod

FEW_BLOCKS = 500
"""Allocated blocks of memory that may come and go beside; one exception that is raised again keeps some ten at each raise."""
ASKED = Resources(cpu_shares=2048, cpu_quota=200_000, cpu_period=100_000, memory_limit=1 << 31)
SPEC = PodSpec({"main": ContainerSpec({"memory": "1Gi"}, {})})
BAD_SPECS = {
    "memory": PodSpec({"main": ContainerSpec({"memory": "much"}, {})}),
    "batch": PodSpec({"main": ContainerSpec(dict.fromkeys(BATCH, "-1"), dict.fromkeys(BATCH, "-1"))}),
}


class Decides:
    """One pod, as the event path and the reconciler decide it."""

    def __init__(self, of: Pod) -> None:
        self.pod = of
        self.container = Container("c1", "main", of.id, ASKED)
        self.chain = Chain(load_hooks())
        self.log = DecisionLog(CapturingLogger())
        self.errors = 0

    def times(self, number: int) -> None:
        for _ in range(number):
            decision = self.chain.decide_container(self.pod, self.container, Event.UPDATE, UNDER)
            self.errors += len(decision.errors)
        of_pod = self.chain.decide_pod(self.pod, UNDER, [self.container])
        self.log.decided_again(self.pod, "", of_pod)
        self.errors += len(of_pod.errors)

    def grown(self, number: int) -> int:
        """Blocks that are allocated after so many decisions and were not before."""
        self.times(20)
        gc.collect()
        before = sys.getallocatedblocks()
        self.times(number)
        gc.collect()
        return sys.getallocatedblocks() - before


def annotated(annotations: dict[str, str], spec: PodSpec = SPEC) -> Pod:
    qos, parent = ("LS", BURSTABLE) if spec is not BAD_SPECS["batch"] else ("BE", BESTEFFORT)
    if len(annotations) == 1:
        qos, parent = QOS.get(*annotations, (qos, parent))
    one = pod(qos, parent, {**GOOD, **annotations})
    one.spec = spec
    return one


@pytest.mark.parametrize(("key", "text"), CASES, ids=[f"{k.rpartition('/')[2]}-{i}" for i, (k, _) in enumerate(CASES)])
def test_no_bad_annotation_grows_with_the_number_of_decisions(key: str, text: str) -> None:
    decides = Decides(annotated({key: text}))
    assert decides.grown(100) < FEW_BLOCKS
    assert decides.errors


@pytest.mark.parametrize("spec", BAD_SPECS)
def test_no_bad_quantity_of_a_spec_grows_with_the_number_of_decisions(spec: str) -> None:
    decides = Decides(annotated({}, BAD_SPECS[spec]))
    assert decides.grown(100) < FEW_BLOCKS
    assert decides.errors


@pytest.mark.full
def test_a_hundred_thousand_decisions_on_one_bad_pod_leave_memory_as_it_is() -> None:
    decides = Decides(annotated(dict.fromkeys(OWN, "{")))
    for _ in range(100):  # in parts, so that a leak fails the test long before it fills the machine
        assert decides.grown(1000) < FEW_BLOCKS
    assert decides.errors > 100_000
