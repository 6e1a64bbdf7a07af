"""What an update must carry: nothing that is already so, and what is no longer decided goes back to kubelet's values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.model import CPUSet, Decision, Field, NodeState, Resources, Setting, fields
from koordnri.model.difference import asked_since, baseline_value, changes, rebased, restorations, through_runtime
from koordnri.model.fields import UNLIMITED
from koordnri.model.resources import NOTHING
from koordnri.model.routes import ADJUST, REPLY, WRITE
from koordnri.model.topology import Topology

V2 = NodeState(topology=Topology.regular(1, 1, 4, 2), block_devices={"/dev/sda": "8:0", "/dev/sdb": "8:16"})
V1 = NodeState(topology=V2.topology, cgroup_version=1, cgroup_files=frozenset())
NO_HIGH = NodeState(cgroup_files=V2.cgroup_files - {"memory.high"})
GIB = 1 << 30


def decided(*settings: tuple[Field, Any], route: str = REPLY, key: str = "") -> Decision:
    return Decision({f.named(key): Setting(f, key, value, "hook", "because", route) for f, value in settings})


def changed(field: Field, value: Any, stored: Resources, node: NodeState = V2, **more: Any) -> bool:
    settings = changes(decided((field, value), **more), stored, node)
    assert all(s.field is field for s in settings)
    return bool(settings)


# -- changes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        (fields.CPU_CPUS, "0-3", Resources(cpus="0-3")),
        (fields.CPU_CPUS, "0-3", Resources(cpus="0,1,2,3")),
        (fields.CPU_CPUS, "3,0-2", Resources(cpus="0-3")),
        (fields.CPU_MEMS, "0,1", Resources(mems="0-1")),
        (fields.CPU_QUOTA, UNLIMITED, NOTHING),
        (fields.CPU_QUOTA, UNLIMITED, Resources(cpu_quota=-1)),
        (fields.CPU_QUOTA, 50_000, Resources(cpu_quota=50_000)),
        (fields.CPU_PERIOD, 100_000, NOTHING),
        (fields.CPU_SHARES, 1024, NOTHING),
        (fields.CPU_SHARES, 2, Resources(cpu_shares=2)),
        (fields.MEMORY_LIMIT, UNLIMITED, NOTHING),
        (fields.MEMORY_LIMIT, GIB, Resources(memory_limit=GIB)),
        (fields.MEMORY_HIGH, GIB, Resources(unified={"memory.high": str(GIB)})),
        (fields.MEMORY_HIGH, UNLIMITED, Resources(unified={"memory.high": "max"})),
        (fields.MEMORY_HIGH, UNLIMITED, NOTHING),
        (fields.MEMORY_MIN, 0, Resources(unified={"memory.low": "5"})),
        (fields.MEMORY_LOW, 0, NOTHING),
        (fields.CPU_BURST, 0, Resources(unified={"cpu.max.burst": "0"})),
    ],
)
def test_what_is_already_so_is_no_change(field, value, stored):
    assert not changed(field, value, stored)


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        (fields.CPU_CPUS, "0-3", NOTHING),
        (fields.CPU_CPUS, "0-3", Resources(cpus="0-4")),
        (fields.CPU_CPUS, "0-3", Resources(cpus="garbage")),
        (fields.CPU_QUOTA, UNLIMITED, Resources(cpu_quota=50_000)),
        (fields.CPU_QUOTA, 50_000, NOTHING),
        (fields.CPU_QUOTA, 50_000, Resources(cpu_quota=-1)),
        (fields.CPU_SHARES, 2, NOTHING),
        (fields.CPU_SHARES, 512, Resources(cpu_shares=513)),
        (fields.MEMORY_LIMIT, UNLIMITED, Resources(memory_limit=GIB)),
        (fields.MEMORY_HIGH, GIB, NOTHING),
        (fields.MEMORY_HIGH, UNLIMITED, Resources(unified={"memory.high": str(GIB)})),
        (fields.MEMORY_MIN, GIB, Resources(unified={"memory.low": str(GIB)})),
    ],
)
def test_what_differs_is_a_change(field, value, stored):
    assert changed(field, value, stored)


def test_a_disks_limits_are_compared_as_the_kernel_takes_them():
    stored = Resources(unified={"io.max": "8:16 rbps=1 wbps=max riops=max wiops=max"})
    limits = "rbps=1 wbps=max riops=max wiops=max"
    assert not changed(fields.IO_MAX, limits, stored, key="/dev/sdb")
    assert changed(fields.IO_MAX, limits, stored, key="/dev/sda")
    assert changed(fields.IO_MAX, limits.replace("1", "2"), stored, key="/dev/sdb")


def test_what_goes_another_way_is_not_the_replys_business():
    assert not changed(fields.CPU_QUOTA, -1, Resources(cpu_quota=5000), route=WRITE)


def test_a_change_carries_the_decided_setting_itself():
    decision = decided((fields.CPU_CPUS, "0-3"), (fields.CPU_QUOTA, UNLIMITED))
    assert changes(decision, Resources(cpus="1"), V2) == [decision.settings["cpu.cpus"]]


# -- restorations -----------------------------------------------------------------------------------------------------


def as_set(stored: Resources, node: NodeState = V2) -> dict[str, Any]:
    """The stored values as decisions name and spell them."""
    names = {"cpus": "cpu.cpus", "mems": "cpu.mems"}
    values = {a: getattr(stored, a) for a in stored.__struct_fields__ if a != "unified"}
    own = {names.get(a, a.replace("_", ".")): value for a, value in values.items() if value}
    for file, text in (stored.unified or {}).items():
        number, space, limits = text.partition(" ")
        if space:
            own[f"{file}[{node.device_path(number)}]"] = limits
        else:
            own[file] = UNLIMITED if text == "max" else int(text) if text.isdecimal() else text
    return own


def restored(
    baseline: Resources,
    stored: Resources,
    decision: Decision | None = None,
    asked: Resources = NOTHING,
    node: NodeState = V2,
    ours: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What is taken back; without `ours`, all that is stored is of our doing."""
    if ours is None:
        ours = [as_set(stored, node)]
    settings = restorations(decision or Decision(), baseline, stored, asked, node, ours)
    assert all(s.route == REPLY and s.reason for s in settings)
    return {s.field.named(s.key): s.value for s in settings}


@pytest.mark.parametrize(
    ("baseline", "stored", "back"),
    [
        (Resources(cpu_quota=50_000), Resources(cpu_quota=-1), {"cpu.quota": 50_000}),
        (NOTHING, Resources(cpu_quota=50_000), {"cpu.quota": UNLIMITED}),
        (Resources(cpu_shares=2), Resources(cpu_shares=512), {"cpu.shares": 2}),
        (NOTHING, Resources(cpu_shares=512), {"cpu.shares": 1024}),
        (NOTHING, Resources(cpu_period=10_000), {"cpu.period": 100_000}),
        (NOTHING, Resources(memory_limit=GIB), {"memory.limit": UNLIMITED}),
        (Resources(memory_limit=GIB), Resources(memory_limit=2 * GIB), {"memory.limit": GIB}),
        (Resources(cpus="0-1"), Resources(cpus="2-3"), {"cpu.cpus": "0-1"}),
        (Resources(mems="0"), Resources(mems="1"), {"cpu.mems": "0"}),
        (NOTHING, Resources(unified={"memory.high": "4096"}), {"memory.high": UNLIMITED}),
        (NOTHING, Resources(unified={"memory.min": "4096", "memory.low": "8192"}), {"memory.min": 0, "memory.low": 0}),
        (
            Resources(unified={"memory.high": "4096"}),
            Resources(unified={"memory.high": "max"}),
            {"memory.high": 4096},
        ),
        (Resources(unified={"memory.high": "1G"}), Resources(unified={"memory.high": "max"}), {"memory.high": "1G"}),
        (
            NOTHING,
            Resources(unified={"io.max": "8:16 rbps=1048576 wbps=max riops=max wiops=max"}),
            {"io.max[/dev/sdb]": "rbps=max wbps=max riops=max wiops=max"},
        ),
        (NOTHING, Resources(unified={"io.weight": "8:0 50"}), {"io.weight[/dev/sda]": "default"}),
    ],
)
def test_what_is_no_longer_decided_goes_back_to_what_kubelet_asked_for_once(baseline, stored, back):
    assert restored(baseline, stored) == back

    names = {"cpu.quota": "cpu_quota", "cpu.shares": "cpu_shares", "cpu.period": "cpu_period"}
    names |= {"memory.limit": "memory_limit", "cpu.cpus": "cpus", "cpu.mems": "mems"}
    plain = {names[n]: v for n, v in back.items() if n in names}
    unified = dict(stored.unified or {})
    for setting in restorations(Decision(), baseline, stored, NOTHING, V2, [as_set(stored)]):
        if setting.field.adjust == "unified":
            unified[setting.field.v2[0]] = V2.unified_text(setting)
    settled = Resources(**{**{f: getattr(stored, f) for f in stored.__struct_fields__}, **plain, "unified": unified})
    assert restored(baseline, settled) == {}, "and then there is nothing left to do"


@pytest.mark.parametrize(
    ("baseline", "stored"),
    [
        (NOTHING, NOTHING),
        (Resources(cpus="0-3"), Resources(cpus="0,1,2,3")),
        (NOTHING, Resources(cpu_quota=-1)),
        (Resources(cpu_quota=-1), NOTHING),
        (NOTHING, Resources(cpu_period=100_000)),
        (NOTHING, Resources(unified={"memory.high": "max", "memory.min": "0"})),
        (Resources(512, 50_000, 100_000, "0-3", "0", GIB), Resources(512, 50_000, 100_000, "0-3", "0", GIB)),
        (Resources(unified={"io.max": "8:0 rbps=5"}), Resources(unified={"io.max": "8:0 rbps=5"})),
        (NOTHING, Resources(unified={"some.file": "5"})),
    ],
)
def test_what_kubelet_asked_for_is_left_alone(baseline, stored):
    assert restored(baseline, stored) == {}


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        (fields.CPU_QUOTA, 7000, Resources(cpu_quota=7000)),
        (fields.CPU_CPUS, "1", Resources(cpus="1")),
        (fields.MEMORY_HIGH, 4096, Resources(unified={"memory.high": "4096"})),
    ],
)
def test_what_is_still_decided_is_not_taken_back(field, value, stored):
    assert restored(NOTHING, stored, decided((field, value))) == {}


@pytest.mark.parametrize(
    ("field", "stored"),
    [
        (fields.CPU_QUOTA, Resources(cpu_quota=7000)),
        (fields.CPU_CPUS, Resources(cpus="1")),
        (fields.MEMORY_HIGH, Resources(unified={"memory.high": "4096"})),
        (fields.IO_MAX, Resources(unified={"io.max": "8:16 rbps=1 wbps=max riops=max wiops=max"})),
    ],
)
def test_what_a_failing_hook_owns_stays_as_it_is(field, stored):
    """It has not stated that it wants nothing: taking its fields back would unpin containers because something was late."""
    decision = Decision(undecided=frozenset({field}))
    assert restored(NOTHING, stored, decision) == {}
    assert restored(NOTHING, stored) != {}


def test_limits_of_another_disk_are_not_put_where_one_disk_has_its_place():
    """The entry `io.max` of an update holds one device; the decided one wins."""
    stored = Resources(unified={"io.max": "8:16 rbps=1 wbps=max riops=max wiops=max"})
    assert (
        restored(
            NOTHING,
            stored,
            decided(
                (
                    fields.IO_MAX,
                    "rbps=2",
                ),
                key="/dev/sda",
            ),
        )
        == {}
    )


def test_limits_of_a_disk_that_is_gone_cannot_be_taken_back():
    assert restored(NOTHING, Resources(unified={"io.max": "259:1 rbps=1 wbps=max riops=max wiops=max"})) == {}


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        (Resources(cpu_quota=80_000), Resources(cpu_quota=50_000)),
        (Resources(cpu_shares=900), Resources(cpu_shares=512)),
        (Resources(memory_limit=GIB), Resources(memory_limit=2 * GIB)),
        (Resources(cpus="5"), Resources(cpus="0-3")),
        (Resources(unified={"memory.high": "9"}), Resources(unified={"memory.high": "7"})),
        (Resources(unified={"io.max": "8:0 rbps=9"}), Resources(unified={"io.max": "8:0 rbps=7"})),
    ],
)
def test_what_kubelet_asks_for_in_the_same_breath_is_left_to_arrive_by_itself(asked, stored):
    baseline = stored.moved_by(asked)
    assert restored(baseline, stored, asked=asked) == {}
    device = any(file.startswith("io.") for file in asked.unified or ())
    assert device or restored(baseline, stored) != {}, "and it is only for that reason"


def test_a_cpuset_that_nobody_asked_for_becomes_all_online_cpus_for_it_cannot_be_cleared():
    assert restored(NOTHING, Resources(cpus="2")) == {"cpu.cpus": "0-7"}
    assert restored(NOTHING, Resources(cpus="0-7")) == {}
    assert restored(NOTHING, Resources(cpus="2"), node=NodeState()) == {}, "without a topology nobody knows which"


def test_a_cpuset_that_was_never_set_is_not_set_by_restoring():
    assert restored(NOTHING, Resources(mems="1")) == {}
    assert restored(NOTHING, NOTHING) == {}


def test_what_this_kernel_has_no_file_for_is_never_sent():
    stored = Resources(unified={"memory.high": "4096", "memory.min": "4096", "io.max": "8:0 rbps=1"})
    assert set(restored(NOTHING, stored, node=NO_HIGH)) == {"memory.min", "io.max[8:0]"}
    assert restored(NOTHING, stored, node=V1) == {}


# -- whose a stored value is ------------------------------------------------------------------------------------------

SET = {
    "cpu.cpus": "2-3",
    "cpu.mems": "0,1",
    "cpu.quota": 40_000,
    "cpu.period": 50_000,
    "cpu.shares": 2,
    "memory.limit": GIB,
    "memory.min": 4096,
    "memory.high": 4096,
    "io.max[/dev/sdb]": "rbps=1 wbps=max riops=max wiops=max",
}
ASKED = Resources(512, 80_000, 100_000, "0-1", "0", 2 * GIB, {"memory.high": "8192"})
CASES = [
    ("cpu.quota", Resources(cpu_quota=40_000), True),
    ("cpu.quota", Resources(cpu_quota=80_001), False),
    ("cpu.quota", Resources(cpu_quota=-1), False),
    ("cpu.cpus", Resources(cpus="2,3"), True),
    ("cpu.cpus", Resources(cpus="2-7"), False),
    ("cpu.cpus", Resources(cpus="garbage"), False),
    ("cpu.mems", Resources(mems="0-1"), True),
    ("cpu.mems", Resources(mems="1"), False),
    ("cpu.period", Resources(cpu_period=50_000), True),
    ("cpu.period", Resources(cpu_period=10_000), False),
    ("cpu.shares", Resources(cpu_shares=2), True),
    ("cpu.shares", Resources(cpu_shares=3), False),
    ("memory.limit", Resources(memory_limit=GIB), True),
    ("memory.limit", Resources(memory_limit=GIB + 1), False),
    ("memory.min", Resources(unified={"memory.min": "4096"}), True),
    ("memory.min", Resources(unified={"memory.min": "4097"}), False),
    ("memory.high", Resources(unified={"memory.high": "4096"}), True),
    ("memory.high", Resources(unified={"memory.high": "1G"}), False),
    ("memory.high", Resources(unified={"memory.high": "max"}), False),
    ("memory.low", Resources(unified={"memory.low": "4096"}), False),
]
"""field, what is stored of it, whether that is SET's"""


@pytest.mark.parametrize(("name", "stored", "mine"), CASES)
@pytest.mark.parametrize("ours", [[SET], [{}, SET], [SET, {"cpu.quota": 1, "cpu.cpus": "0", "memory.min": 1}]])
def test_only_what_we_set_is_taken_back(name, stored, mine, ours):
    assert set(restored(ASKED, stored, ours=ours)) == ({name} if mine else set())


@pytest.mark.parametrize(
    ("text", "mine"),
    [
        ("8:16 rbps=1 wbps=max riops=max wiops=max", True),
        ("8:16 rbps=2 wbps=max riops=max wiops=max", False),
        ("8:0 rbps=1 wbps=max riops=max wiops=max", False),
    ],
)
def test_only_a_disks_limits_that_we_set_are_taken_back(text, mine):
    stored = Resources(unified={"io.max": text})
    assert set(restored(NOTHING, stored, ours=[SET])) == ({"io.max[/dev/sdb]"} if mine else set())
    assert asked_since(NOTHING, stored, V2, []) is NOTHING, "kubelet asks for none"


def test_no_limit_may_be_ours_however_it_is_stored():
    ours = [{"cpu.quota": UNLIMITED, "memory.high": UNLIMITED}]
    back = {"cpu.quota": 80_000, "memory.high": 8192}
    assert restored(ASKED, NOTHING, ours=ours) == back
    assert restored(ASKED, Resources(cpu_quota=-1, unified={"memory.high": "max"}), ours=ours) == back
    assert restored(ASKED, NOTHING, ours=[]) == {}


@pytest.mark.parametrize(("name", "stored", "mine"), CASES)
def test_what_somebody_else_stored_is_the_baseline_from_then_on(name, stored, mine):
    now = asked_since(ASKED, stored, V2, [{}, SET])
    assert now == (ASKED if mine else ASKED.moved_by(stored))
    assert (now is ASKED) == mine
    assert restored(now, stored, ours=[SET]).keys() == ({name} if mine else set())


@pytest.mark.parametrize(
    ("baseline", "stored"),
    [
        (ASKED, ASKED),
        (ASKED, NOTHING),
        (NOTHING, NOTHING),
        (Resources(cpus="0-1"), Resources(cpus="0,1")),
        (NOTHING, Resources(cpu_quota=-1, cpu_period=100_000, cpu_shares=1024, memory_limit=-1)),
        (Resources(cpu_quota=-1), Resources(cpu_quota=-5)),
        (NOTHING, Resources(unified={"memory.high": "max", "memory.min": "0"})),
        (NOTHING, Resources(unified={"some.file": "5"})),
        (NOTHING, Resources(cpus="0-7")),
    ],
)
def test_what_means_the_same_has_not_been_asked_again(baseline, stored):
    """`0-7` is how a cpuset is given back of which nobody asked anything: it cannot be cleared."""
    assert asked_since(baseline, stored, V2, []) is baseline


def test_what_was_asked_meanwhile_moves_its_own_fields_only():
    stored = Resources(2, 160_000, 100_000, "2-3", "0", GIB, {"memory.high": "4096", "memory.low": "5"})
    assert asked_since(ASKED, stored, V2, [SET]) == Resources(
        512, 160_000, 100_000, "0-1", "0", 2 * GIB, {"memory.high": "8192", "memory.low": "5"}
    )
    without_topology = NodeState()
    assert asked_since(NOTHING, Resources(cpus="2-7"), without_topology, []) == Resources(cpus="2-7")
    assert asked_since(NOTHING, Resources(unified={"memory.min": "5"}), V1, []) is NOTHING


@pytest.mark.parametrize("odd", ["text", "", 1 << 80, -(1 << 80), 0, True])
def test_a_note_that_was_tampered_with_is_no_more_than_not_ours(odd):
    """Values that come from an annotation are compared, never trusted to be of a field's type."""
    stored = Resources(512, 50_000, 100_000, "0-3", "0", GIB, {"memory.high": "4096", "io.max": "8:16 rbps=5"})
    forged = dict.fromkeys([*SET, "io.max", "io.max[", "nonsense"], odd)
    assert restored(NOTHING, stored, ours=[forged]) == {}
    assert asked_since(NOTHING, stored, V2, [forged]) == asked_since(NOTHING, stored, V2, [])


# -- what goes through the runtime ------------------------------------------------------------------------------------


class Text(str):
    """As a hook may well give one."""


class Number:
    def __index__(self) -> int:
        return 7


def _noted(decision: Decision) -> dict[str, int | str]:
    return through_runtime(decision.settings.values())


@pytest.mark.parametrize(
    ("field", "value", "noted"),
    [
        (fields.CPU_QUOTA, -1, -1),
        (fields.CPU_QUOTA, Number(), 7),
        (fields.CPU_SHARES, True, 1),
        (fields.CPU_CPUS, "2-3", "2-3"),
        (fields.CPU_CPUS, Text("2-3"), "2-3"),
        (fields.CPU_CPUS, None, "None"),
        (fields.MEMORY_HIGH, 5.5, "5.5"),
        (fields.MEMORY_HIGH, 1 << 80, 1 << 80),
    ],
)
def test_what_goes_into_the_runtimes_spec_is_noted_as_a_plain_value(field, value, noted):
    sent = _noted(decided((field, value), route=ADJUST))
    assert sent == {field.name: noted}
    assert type(sent[field.name]) in (int, str)


def test_only_what_an_update_could_change_is_noted():
    assert through_runtime(()) == {}
    assert _noted(decided(*((f, "x") for f in fields.ALL if not f.update and not f.noted), route=ADJUST)) == {}
    assert _noted(decided((fields.CPU_QUOTA, 5), route=WRITE)) == {}, "files are not the runtime's spec"
    limits = "rbps=1 wbps=max riops=max wiops=max"
    assert _noted(decided((fields.IO_MAX, limits), key="/dev/sda")) == {"io.max[/dev/sda]": limits}
    decision = decided(*((f, 5) for f in fields.ALL if f.update and not f.keyed), route=ADJUST)
    assert set(_noted(decision)) == set(decision.settings)


# -- one field's baseline ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "baseline", "value"),
    [
        (fields.CPU_QUOTA, Resources(cpu_quota=50_000), 50_000),
        (fields.CPU_QUOTA, NOTHING, UNLIMITED),
        (fields.CPU_PERIOD, NOTHING, 100_000),
        (fields.CPU_SHARES, Resources(cpu_shares=2), 2),
        (fields.CPU_SHARES, NOTHING, 1024),
        (fields.MEMORY_LIMIT, Resources(memory_limit=GIB), GIB),
        (fields.MEMORY_LIMIT, NOTHING, UNLIMITED),
        (fields.CPU_CPUS, Resources(cpus="0-1"), "0-1"),
        (fields.CPU_CPUS, NOTHING, "0-7"),
        (fields.CPU_MEMS, Resources(mems="1"), "1"),
        (fields.CPU_MEMS, NOTHING, None),
        (fields.MEMORY_HIGH, Resources(unified={"memory.high": "4096"}), 4096),
        (fields.MEMORY_HIGH, Resources(unified={"memory.high": "max"}), UNLIMITED),
        (fields.MEMORY_HIGH, Resources(unified={"memory.high": "1G"}), None),
        (fields.MEMORY_HIGH, NOTHING, UNLIMITED),
        (fields.MEMORY_MIN, Resources(unified={"memory.low": "7"}), 0),
        (fields.MEMORY_LOW, Resources(unified={"memory.low": "7"}), 7),
        (fields.IO_MAX, NOTHING, "rbps=max wbps=max riops=max wiops=max"),
        (fields.IO_WEIGHT, NOTHING, "default"),
        (fields.CPU_BURST, NOTHING, 0),
        (fields.MEMORY_OOM_GROUP, Resources(unified={"memory.oom.group": "1"}), 1),
        *((f, NOTHING, f.neutral) for f in fields.ALL if not f.update and not f.noted),
    ],
)
def test_what_a_field_has_when_nobody_but_kubelet_sets_it(field, baseline, value):
    assert baseline_value(field, baseline, V2) == value


def test_fields_whose_baseline_is_another_one_than_before():
    before = Resources(cpu_shares=512, cpu_quota=50_000, cpus="0-1", mems="0")
    after = Resources(cpu_shares=512, cpu_quota=90_000, memory_limit=GIB, mems="0")
    assert rebased(before, after, V2) == {"cpu.quota": 90_000, "cpu.cpus": "0-7", "memory.limit": GIB}
    assert rebased(before, before, V2) == {}


def test_memory_that_nobody_asked_for_is_that_of_all_nodes_that_have_any():
    node = replace(V2, memory_nodes="0-2")
    bound, ours = Resources(mems="0"), [{"cpu.mems": "0"}]
    [back] = restorations(Decision(), NOTHING, bound, NOTHING, node, ours)
    assert (back.field, back.value, back.route) == (fields.CPU_MEMS, "0-2", REPLY)
    assert restorations(Decision(), NOTHING, bound, NOTHING, node, []) == [], "somebody else bound it"
    assert baseline_value(fields.CPU_MEMS, NOTHING, node) == "0-2"
    assert baseline_value(fields.CPU_MEMS, Resources(mems="1"), node) == "1"


def test_without_a_topology_no_cpuset_can_be_computed():
    assert baseline_value(fields.CPU_CPUS, NOTHING, NodeState()) is None
    assert baseline_value(fields.CPU_CPUS, Resources(cpus="3"), NodeState()) == "3"


@pytest.mark.parametrize("baseline", [NOTHING, Resources(cpu_quota=7000, cpus="1", unified={"memory.high": "4096"})])
@pytest.mark.parametrize("field", [f for f in fields.ALL if f.update and not f.keyed and f is not fields.CPU_BURST])
def test_a_reply_restores_the_same_that_a_write_does(field, baseline):
    """Whichever comes first, the reply to an update or the reconciler: both go back to one value."""
    odd = {fields.CPU_CPUS: "5", fields.CPU_MEMS: "1"}
    names = {"cpu.cpus": "cpus", "cpu.mems": "mems"}
    name = names.get(field.name, field.name.replace(".", "_"))
    plain = name in Resources.__struct_fields__
    has = {name: odd.get(field, 12_345)} if plain else {"unified": {field.v2[0]: "12345"}}
    stored = Resources(**has)
    assert restored(baseline, stored).get(field.name) == baseline_value(field, baseline, V2)


@pytest.mark.parametrize(
    ("version", "pods_cpus", "expected"), [(1, "0-1", "0-1"), (2, "0-1", "0-3"), (1, None, "0-3"), (1, "9", "0-3")]
)
def test_all_cpus_are_given_back_as_far_as_the_kernel_takes_them(version, pods_cpus, expected):
    """v1 refuses (EACCES) what the cgroup of all pods does not have."""
    bound = None if pods_cpus is None else CPUSet.parse(pods_cpus)
    node = NodeState(topology=Topology.regular(1, 1, 4, 1), cgroup_version=version, pods_cpus=bound)
    assert baseline_value(fields.CPU_CPUS, NOTHING, node) == expected
