"""Invariant: whatever the annotation says, the hook gpu raises AnnotationError or nothing, and gives no device that the node has not.

The annotation's writer may be the pod's owner.
"""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.gpu import GPU

from koordnri.model import AnnotationError, Device, NodeState
from tests.hooks.one_hook import context, run, values
from tests.support.pods import pod
from tests.support.policies import policy_of

KEY = "scheduling.koordinator.sh/device-allocated"
NODE = NodeState(
    rdma_devices={"0000:09:00.1": {"/dev/infiniband/uverbs1": Device("c", 231, 193)}}, rdma_cm=Device("c", 10, 123)
)
ALLOWED = {"/dev/infiniband/uverbs1", "/dev/infiniband/rdma_cm"}
POLICIES = [
    policy_of(koordnri_config={"hooks": {"gpu": {"requireRequest": "never", "identify": by, "inject": way}}})
    for by in ("minor", "uuid")
    for way in ("env", "cdi")
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
AMOUNT = st.one_of(st.integers(-5, 200), st.floats(), st.sampled_from(["50", "8Gi", "-1", "x", "", "1e400", "99.5"]))
RESOURCES = st.dictionaries(
    st.sampled_from([f"koordinator.sh/gpu-{kind}" for kind in ("core", "memory", "memory-ratio")]), AMOUNT
)
ADDRESS = st.sampled_from(["0000:09:00.1", "0000:ff:00.0", ""]) | st.text(max_size=12)
EXTENSION = st.fixed_dictionaries({}, optional={"vfs": st.lists(st.fixed_dictionaries({"busID": ADDRESS}), max_size=3)})
DEVICE = st.fixed_dictionaries(
    {"minor": st.integers()},
    optional={
        "id": ADDRESS | st.sampled_from(["all", "GPU-4cf8db2d", "0,1"]),
        "resources": RESOURCES,
        "extension": EXTENSION,
    },
)
LIST = st.lists(DEVICE, max_size=4)
ALLOCATION = st.fixed_dictionaries({}, optional={"gpu": LIST | ANYTHING, "rdma": LIST | ANYTHING, "fpga": ANYTHING})


@given(ALLOCATION | ANYTHING, st.sampled_from(POLICIES), st.booleans())
def test_no_annotation_gives_what_the_node_has_not(allocation: Any, policy: Any, isolated: bool) -> None:
    labels = {"koordinator.sh/gpu-isolation-provider": "HAMi-core"} if isolated else {}
    one = pod("LS", annotations={KEY: json.dumps(allocation)}, labels=labels)
    try:
        decision = run(GPU(), context(one, node=NODE, policy=policy))
    except AnnotationError:
        return
    assert {error.fault for error in decision.errors} <= {"pod"}
    got = values(decision)
    assert {s.key for s in decision.settings.values() if s.field.name == "device"} <= ALLOWED
    for name in ("env[NVIDIA_VISIBLE_DEVICES]", "cdi[nvidia.com/gpu]"):
        each = got.get(name, "0").split(",")
        assert all(re.fullmatch(r"\d{1,7}|void|GPU-4cf8db2d", device) for device in each)
        assert len(each) == len(set(each))
        assert "all" not in each
