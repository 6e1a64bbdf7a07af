"""Which files follow from a decision, and which go back."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.host.cgroup.change import Change
from koordnri.model import Decision, Field, NodeState, Resources, Setting, fields
from koordnri.model.fields import UNLIMITED, Mount, split_name
from koordnri.model.resources import NOTHING
from koordnri.model.routes import ADJUST, REPLY, WRITE
from koordnri.model.topology import Topology
from koordnri.reconcile.plan import back_to_baseline, back_to_before, wanted

NODE = NodeState(topology=Topology.regular(1, 1, 4, 2), block_devices={"/dev/sda": "8:0", "/dev/sdb": "8:16"})
NO_LIMITS = "rbps=max wbps=max riops=max wiops=max"


def decided(*settings: tuple[Field, str, Any, str], undecided: tuple[Field, ...] = ()) -> Decision:
    made = {f.named(key): Setting(f, key, value, "hook", "because", route) for f, key, value, route in settings}
    return Decision(made, undecided=frozenset(undecided))


NOTHING_DECIDED = decided()


def test_a_decision_becomes_the_files_of_what_can_still_be_set():
    decision = decided(
        (fields.CPU_QUOTA, "", -1, REPLY),
        (fields.IO_MAX, "/dev/sdb", "rbps=5", WRITE),
        (fields.ENV, "A", "1", ADJUST),
        (fields.RDT_CLOSID, "", "BE", ADJUST),
    )
    assert wanted("a/b", decision, NODE) == {
        "cpu.quota": Change("a/b", fields.CPU_QUOTA, "", -1),
        "io.max[/dev/sdb]": Change("a/b", fields.IO_MAX, "8:16", "rbps=5"),
    }


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cpu.quota", (fields.CPU_QUOTA, "")),
        ("io.max[/dev/sda]", (fields.IO_MAX, "/dev/sda")),
        ("env[A[0]]", (fields.ENV, "A[0]")),
        ("env[]", (fields.ENV, "")),
        ("cpu.sparkle", (None, "")),
        ("", (None, "")),
    ],
)
def test_a_name_has_field_and_key(name, found):
    assert split_name(name) == found


@pytest.mark.parametrize("field", fields.ALL, ids=lambda field: field.name)
def test_every_fields_own_name_is_read_back(field):
    assert split_name(field.named("/a/b[c]")) == (field, "/a/b[c]" if field.keyed else "")


@pytest.mark.parametrize(
    ("name", "baseline", "back"),
    [
        ("cpu.quota", Resources(cpu_quota=50_000), ("", 50_000)),
        ("cpu.quota", NOTHING, ("", UNLIMITED)),
        ("cpu.cpus", Resources(cpus="1"), ("", "1")),
        ("cpu.cpus", NOTHING, ("", "0-7")),
        ("memory.high", Resources(unified={"memory.high": "4096"}), ("", 4096)),
        ("memory.low", NOTHING, ("", 0)),
        ("io.max[/dev/sdb]", NOTHING, ("8:16", NO_LIMITS)),
        ("io.weight[/dev/sda]", NOTHING, ("8:0", "default")),
    ],
)
def test_what_is_no_longer_decided_goes_back_to_what_kubelet_asked_for(name, baseline, back):
    field, _ = split_name(name)
    assert back_to_baseline("c", [name], NOTHING_DECIDED, baseline, NODE) == {name: Change("c", field, *back)}


@pytest.mark.parametrize(
    "name",
    [
        "cpu.mems",  # of this node, nobody knows which there are
        "env[A]",
        "mount[/x]",
        "device[/dev/x]",
        "rdt.closid",
        "blockio.class",
        "oom_score_adj",
        "io.max",  # of which disk?
        "cpu.quota[x]",
        "cpu.sparkle",
        "io.max[/dev/gone]",
    ],
)
def test_what_has_no_way_back_is_left(name):
    assert back_to_baseline("c", [name], NOTHING_DECIDED, NOTHING, NODE) == {}


@pytest.mark.parametrize("node", [NODE, NodeState(cgroup_version=1, cgroup_files=frozenset())], ids=["v2", "v1"])
def test_nothing_that_only_a_creation_can_set_ever_becomes_a_file(node):
    created = [
        (fields.ENV, "A", "1"),
        (fields.MOUNT, "/x", Mount("/y")),
        (fields.RDT_CLOSID, "", "BE"),
        (fields.BLOCKIO_CLASS, "", "slow"),
        (fields.OOM_SCORE_ADJ, "", 5),
    ]
    decision = decided(*((*s, ADJUST) for s in created))
    assert wanted("c", decision, node) == {}
    assert back_to_baseline("c", decision.settings, NOTHING_DECIDED, NOTHING, node) == {}


def test_what_is_decided_does_not_go_back():
    decision = decided((fields.CPU_QUOTA, "", 7, REPLY), (fields.IO_MAX, "/dev/sda", "rbps=5", REPLY))
    names = ["cpu.quota", "io.max[/dev/sda]", "io.max[/dev/sdb]"]
    assert back_to_baseline("c", names, decision, NOTHING, NODE).keys() == {"io.max[/dev/sdb]"}
    assert back_to_before("p", {"cpu.quota": 5, "cpu.shares": 9}, decision, NODE).keys() == {"cpu.shares"}


def test_what_a_failed_hook_owns_stays():
    decision = decided(undecided=(fields.CPU_QUOTA, fields.IO_MAX))
    names = ["cpu.quota", "io.max[/dev/sda]", "memory.low"]
    assert back_to_baseline("c", names, decision, NOTHING, NODE).keys() == {"memory.low"}
    assert back_to_before("p", {"cpu.quota": 5, "memory.low": 9}, decision, NODE).keys() == {"memory.low"}


def test_a_pods_fields_go_back_to_what_their_files_held():
    before = {"cpu.quota": 5000, "memory.limit": -1, "cpu.shares": None, "cpu.sparkle": 3}
    assert back_to_before("p", before, NOTHING_DECIDED, NODE) == {
        "cpu.quota": Change("p", fields.CPU_QUOTA, "", 5000),
        "memory.limit": Change("p", fields.MEMORY_LIMIT, "", -1),
    }
