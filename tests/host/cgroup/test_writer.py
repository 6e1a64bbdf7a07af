"""The cgroup writer on a fake kernel that refuses what real ones refuse (test_writer_kernel.py has the machine's own)."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.host.cgroup.change import Change, Outcome, Status, by_level
from koordnri.host.cgroup.writer import Writer
from koordnri.model import CPUSet, Field, fields
from tests.examples import examples
from tests.host.cgroup.one_writer import BOTH, C1, C2, POD, TOP, TREE, apply, change, kernel_and_writer, one
from tests.host.fake_kernel import NO_LIMIT, PAGE, ROOT, FakeKernel

# what comes of a single change


@pytest.mark.parametrize(
    ("version", "field", "key", "value", "before", "after"),
    [
        (1, fields.CPU_QUOTA, "", 50_000, -1, 50_000),
        (2, fields.CPU_QUOTA, "", 50_000, -1, 50_000),
        (1, fields.CPU_PERIOD, "", 50_000, 100_000, 50_000),
        (2, fields.CPU_PERIOD, "", 50_000, 100_000, 50_000),
        (1, fields.CPU_BURST, "", 5_000, 0, 5_000),
        (2, fields.CPU_BURST, "", 5_000, 0, 5_000),
        (1, fields.CPU_SHARES, "", 512, 1024, 512),
        (2, fields.CPU_SHARES, "", 512, 2598, 501),
        (1, fields.CPU_CPUS, "", "1,2", "0,1,2,3,4,5,6,7", "1,2"),
        (2, fields.CPU_CPUS, "", "1-2", "", "1,2"),
        (1, fields.MEMORY_LIMIT, "", 10 * PAGE + 7, -1, 10 * PAGE),
        (2, fields.MEMORY_LIMIT, "", 10 * PAGE + 7, -1, 10 * PAGE),
        (2, fields.MEMORY_HIGH, "", 3 * PAGE, -1, 3 * PAGE),
        (2, fields.MEMORY_MIN, "", 3 * PAGE, 0, 3 * PAGE),
        (2, fields.MEMORY_LOW, "", -1, 0, -1),
        (2, fields.IO_MAX, "8:0", "rbps=1024", "rbps=max wbps=max riops=max wiops=max", "rbps=1024 wbps=max riops=max wiops=max"),
        (2, fields.IO_WEIGHT, "8:0", 50, "default", 50),
        (2, fields.IO_WEIGHT, "", 50, 100, 50),
    ],
)  # fmt: skip
def test_a_change_is_written_once_and_then_same(
    version: int, field: Field, key: str, value: Any, before: Any, after: Any
) -> None:
    kernel, writer = kernel_and_writer(version)
    wanted = change(C1, field, value, key)
    assert one(writer, wanted) == Outcome(wanted, Status.WRITTEN, before, after)
    written = list(kernel.log)
    assert written
    assert one(writer, wanted) == Outcome(wanted, Status.SAME, after, after)
    assert kernel.log == written
    assert writer.read(C1, field, key).value == after


def test_disks_do_not_touch_each_other() -> None:
    _, writer = kernel_and_writer(2)
    for disk, limit in (("8:0", "rbps=5"), ("8:16", "wiops=7"), ("8:0", "rbps=max wbps=9")):
        assert one(writer, change(C1, fields.IO_MAX, limit, disk)).status is Status.WRITTEN
    assert writer.read(C1, fields.IO_MAX, "8:0").value == "rbps=max wbps=9 riops=max wiops=max"
    assert writer.read(C1, fields.IO_MAX, "8:16").value == "rbps=max wbps=max riops=max wiops=7"
    assert one(writer, change(C1, fields.IO_MAX, "wbps=max", "8:0")).status is Status.WRITTEN
    assert writer.read(C1, fields.IO_MAX, "8:0").value == "rbps=max wbps=max riops=max wiops=max"


def test_a_cpuset_in_which_processes_run_cannot_be_cleared_on_v2_either() -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.cgroups[C1].cpus = frozenset({1})
    outcome = one(writer, change(C1, fields.CPU_CPUS, ""))
    assert outcome.status is Status.REFUSED
    assert "processes run in it" in outcome.error
    assert kernel.cgroups[C1].cpus == {1}


def test_a_weight_that_a_newer_runc_has_written_is_left_alone() -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.cgroups[C1].weight = 59
    assert one(writer, change(C1, fields.CPU_SHARES, 512)).status is Status.SAME
    kernel.cgroups[C1].weight = 58
    assert one(writer, change(C1, fields.CPU_SHARES, 512)).status is Status.WRITTEN
    assert kernel.cgroups[C1].weight == 20


def test_two_values_for_one_file_are_a_mistake_of_the_caller() -> None:
    kernel, writer = kernel_and_writer(2)
    with pytest.raises(ValueError, match=r"kubepods/podX/c1: expected one change of cpu.quota, got two"):
        writer.apply([[change(C1, fields.CPU_QUOTA, 5_000)], [change(C1, fields.CPU_QUOTA, 6_000)]])
    assert kernel.log == []


# others write, too


# memory in use


# quota, period and burst of one cgroup


# parents and children


@BOTH
def test_growth_comes_to_the_parent_first_and_shrinking_to_the_child_first(version: int) -> None:
    kernel, writer = kernel_and_writer(version)
    for path in TREE:
        kernel.cgroups[path].quota = 50_000
    grow = apply(writer, *(change(path, fields.CPU_QUOTA, 80_000) for path in TREE))
    assert {o.status for o in grow.values()} == {Status.WRITTEN}
    assert [path.rpartition("/")[0] for path, _ in kernel.log] == [TOP, POD, C1, C2]
    kernel.log.clear()
    shrink = apply(writer, *(change(path, fields.CPU_QUOTA, 30_000) for path in TREE))
    assert {o.status for o in shrink.values()} == {Status.WRITTEN}
    assert [path.rpartition("/")[0] for path, _ in kernel.log] == [C1, C2, POD, TOP]
    assert kernel.violations == []


@BOTH
def test_a_cpuset_moves_through_the_union_above_and_directly_at_the_bottom(version: int) -> None:
    kernel, writer = kernel_and_writer(version)
    for path in (POD, C1, C2):
        kernel.cgroups[path].cpus = frozenset({0, 1} if path != C2 else ())
    outcomes = apply(writer, change(POD, fields.CPU_CPUS, "2-3"), change(C1, fields.CPU_CPUS, "3"))
    assert {o.status for o in outcomes.values()} == {Status.WRITTEN}
    assert kernel.log == [
        (f"{POD}/cpuset.cpus", "0-3"),
        (f"{C1}/cpuset.cpus", "3"),
        (f"{POD}/cpuset.cpus", "2-3"),
    ]
    assert kernel.violations == []


@pytest.mark.parametrize("field", [fields.MEMORY_MIN, fields.MEMORY_LOW, fields.MEMORY_LIMIT, fields.MEMORY_HIGH])
def test_v2s_memory_is_leveled_though_the_kernel_would_not_mind(field: Field) -> None:
    kernel, writer = kernel_and_writer(2)
    for factor in (4, 2, 8):
        wanted = {path: factor * PAGE * (4 - path.count("/")) for path in TREE}
        outcomes = apply(writer, *(change(path, field, value) for path, value in wanted.items()))
        assert {path: o.after for (path, _), o in outcomes.items()} == wanted
    assert kernel.violations == []


MIB = 1 << 20


@pytest.mark.parametrize(
    ("before", "wanted"), [pytest.param(2 * MIB, MIB, id="v70-less"), pytest.param(MIB, 2 * MIB, id="v70-more")]
)
@pytest.mark.parametrize("field", [fields.MEMORY_MIN, fields.MEMORY_LOW])
def test_what_is_protected_is_written_once_more_from_above_and_less_from_below(
    field: Field, before: int, wanted: int
) -> None:
    kernel, writer = kernel_and_writer(2)
    tree = (TOP, POD, C1)
    apply(writer, *(change(path, field, before) for path in tree))
    kernel.log.clear()
    apply(writer, *(change(path, field, wanted) for path in tree))
    order = tree if wanted > before else tree[::-1]
    assert kernel.log == [(f"{path}/{field.name}", str(wanted)) for path in order]


def test_siblings_that_are_to_have_less_make_room_for_those_that_are_to_have_more() -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.sums = True
    for own in ({TOP: 10, POD: 10, C1: 2, C2: 8}, {TOP: 10, POD: 10, C1: 8, C2: 2}, {TOP: 9, POD: 5, C1: 0, C2: 5}):
        outcomes = apply(writer, *(change(path, fields.MEMORY_MIN, pages * PAGE) for path, pages in own.items()))
        assert {path: o.after for (path, _), o in outcomes.items()} == {p: pages * PAGE for p, pages in own.items()}
    assert kernel.violations == []


@st.composite
def shared(draw: st.DrawFn) -> dict[str, int]:
    """Pages of memory.min of a tree in which what children have adds up to no more than their parent has."""
    tree: dict[str, int] = {}
    for name in NAMES:
        parent = name.rpartition("/")[0]
        left = tree[parent] - sum(v for p, v in tree.items() if p.rpartition("/")[0] == parent) if parent else 99
        tree[name] = draw(st.integers(0, left))
    return tree


@given(data=st.data(), field=st.sampled_from([fields.MEMORY_MIN, fields.MEMORY_LOW]))
@settings(deadline=None)
def test_at_no_instant_are_children_together_protected_by_more_than_their_parent(
    data: st.DataObject, field: Field
) -> None:
    kernel = FakeKernel(2, NAMES)
    kernel.sums = True
    writer = Writer(ROOT, 2, kernel)
    for _ in range(3):
        tree = data.draw(shared())
        before = len(kernel.log)
        outcomes = apply(writer, *(change(path, field, pages * PAGE) for path, pages in tree.items()))
        assert {path: o.after for (path, _), o in outcomes.items()} == {p: pages * PAGE for p, pages in tree.items()}
        # Each at most once: nobody has less for a moment than before and after.
        paths = [path for path, _ in kernel.log[before:]]
        assert len(paths) == len(set(paths))
    assert kernel.violations == []


# any start, any goal

NAMES = ("k", "k/b", "k/b/p1", "k/b/p1/c1", "k/b/p1/c2", "k/b/p2", "k/b/p2/c1")
Values = dict[str, dict[Field, Any]]


@st.composite
def consistent(draw: st.DrawFn, memory: bool) -> Values:
    """Values of a tree where no child has more than its parents; -1 of a child is its parent's."""
    tree: Values = {}
    for path in NAMES:
        parent = tree.get(path.rpartition("/")[0])
        period = draw(st.sampled_from([50_000, 100_000, 200_000]))
        quota = draw(st.integers(1, 80).map(lambda n: n * 2_500) | st.just(-1))
        limits = [(tree[p][fields.CPU_QUOTA], tree[p][fields.CPU_PERIOD]) for p in NAMES if path.startswith(p + "/")]
        for above, its_period in limits:
            if quota > 0 and above > 0:
                quota = min(quota, above * period // its_period)
        if 0 < quota < 1_000:
            quota = -1
        cpus = draw(st.frozensets(st.integers(0, 7), min_size=1))
        if parent is not None:
            inside = CPUSet.parse(parent[fields.CPU_CPUS])
            cpus = frozenset(CPUSet(cpus) & inside) or frozenset(inside)
        values: dict[Field, Any] = {
            fields.CPU_QUOTA: quota,
            fields.CPU_PERIOD: period,
            fields.CPU_CPUS: str(CPUSet(cpus)),
            fields.CPU_SHARES: draw(st.integers(2, 262_144)),
            fields.MEMORY_LIMIT: draw(st.integers(1, 50)) * PAGE,
        }
        if memory:
            for field in (fields.MEMORY_HIGH, fields.MEMORY_MIN, fields.MEMORY_LOW):
                values[field] = draw(st.integers(0 if field is not fields.MEMORY_HIGH else 1, 50)) * PAGE
        for field in (fields.MEMORY_LIMIT, fields.MEMORY_HIGH, fields.MEMORY_MIN, fields.MEMORY_LOW):
            if parent is not None and field in values:
                values[field] = min(values[field], parent[field])
        tree[path] = values
    return tree


def start(kernel: FakeKernel, tree: Values) -> None:
    for path, values in tree.items():
        cgroup = kernel.cgroups[path]
        quota = values[fields.CPU_QUOTA]
        cgroup.quota, cgroup.period = None if quota < 0 else quota, values[fields.CPU_PERIOD]
        cgroup.cpus = frozenset(CPUSet.parse(values[fields.CPU_CPUS])) or (None if kernel.version == 2 else frozenset())
        cgroup.shares = values[fields.CPU_SHARES]
        cgroup.limit = cgroup.swap = values[fields.MEMORY_LIMIT]
        cgroup.high = values.get(fields.MEMORY_HIGH, NO_LIMIT)
        cgroup.min, cgroup.low = values.get(fields.MEMORY_MIN, 0), values.get(fields.MEMORY_LOW, 0)


def changes_to(tree: Values, some: frozenset[str] = frozenset(NAMES)) -> list[Change]:
    return [change(path, field, value) for path in tree if path in some for field, value in tree[path].items()]


@given(version=st.sampled_from([1, 2]), data=st.data())
@settings(deadline=None, max_examples=examples(100))
def test_from_any_state_to_any_other_no_child_ever_exceeds_its_parent(version: int, data: st.DataObject) -> None:
    old = data.draw(consistent(memory=version == 2))
    new = data.draw(consistent(memory=version == 2))
    kernel = FakeKernel(version, NAMES)
    start(kernel, old)
    writer = Writer(ROOT, version, kernel)
    outcomes = writer.apply(by_level(changes_to(new)))
    assert [o for o in outcomes if o.status not in (Status.WRITTEN, Status.SAME)] == []
    assert kernel.violations == []
    for path, values in new.items():
        for field, value in values.items():
            read = writer.read(path, field)
            if field is fields.CPU_SHARES and version == 2:
                continue  # a weight; spelling's tests have that
            assert field.same(read.value, value), (path, field)
    kernel.log.clear()
    assert {o.status for o in writer.apply(by_level(changes_to(new)))} == {Status.SAME}
    assert kernel.log == []


@given(data=st.data())
@settings(deadline=None, max_examples=examples(60))
def test_from_an_inconsistent_state_of_v2_the_goal_is_reached_too(data: st.DataObject) -> None:
    old = {path: data.draw(consistent(memory=True))[path] for path in NAMES[:4]}
    new = data.draw(consistent(memory=True))
    kernel = FakeKernel(2, NAMES)
    start(kernel, old)
    outcomes = Writer(ROOT, 2, kernel).apply(by_level(changes_to(new)))
    assert {o.status for o in outcomes} <= {Status.WRITTEN, Status.SAME}
    kernel.violations.clear()
    kernel.write(f"{ROOT}/sys/fs/cgroup/k/cpu.weight", "1")
    assert kernel.violations == []


@given(version=st.sampled_from([1, 2]), data=st.data())
@settings(deadline=None, max_examples=examples(100))
def test_whatever_is_refused_no_child_exceeds_its_parent(version: int, data: st.DataObject) -> None:
    """Cgroups that refuse every write, vanish or are in use: the rest is brought about as far as it goes."""
    old = data.draw(consistent(memory=version == 2))
    new = data.draw(consistent(memory=version == 2))
    stubborn = data.draw(st.frozensets(st.sampled_from(NAMES), min_size=1))
    vanishing = data.draw(st.frozensets(st.sampled_from(NAMES[3:])))
    after = data.draw(st.integers(0, 20))
    kernel = FakeKernel(version, NAMES)
    start(kernel, old)

    def trouble(path: str, text: str) -> None:
        if len(kernel.log) >= after:
            for name in vanishing:
                kernel.cgroups.pop(name, None)
        if path.rpartition("/")[0].endswith(tuple("/" + name for name in stubborn)):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    kernel.before_write = trouble
    writer = Writer(ROOT, version, kernel)
    outcomes = writer.apply(by_level(changes_to(new)))
    assert kernel.violations == []
    for outcome in outcomes:
        at = outcome.change.directory
        match outcome.status:
            case Status.GONE:
                assert at in vanishing
            case Status.REFUSED:
                assert "EPERM" in outcome.error or "could not be changed" in outcome.error
            case _:
                assert outcome.status in (Status.WRITTEN, Status.SAME)


# a tree of plain files, as simulations and benchmarks use


def test_a_tree_of_plain_files_serves_as_well(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/a"
    directory.mkdir(parents=True)
    (directory / "cpu.max").write_text("max 100000\n")
    (directory / "memory.max").write_text("12345678901234\n")
    writer = Writer(tmp_path, 2)
    wanted = [
        change("a", fields.CPU_QUOTA, 1000),
        change("a", fields.MEMORY_LIMIT, PAGE),
        change("a", fields.MEMORY_HIGH, 5),
    ]
    assert [o.status for o in writer.apply([wanted])] == [Status.WRITTEN, Status.WRITTEN, Status.UNSUPPORTED]
    assert (directory / "cpu.max").read_text() == "1000 100000"
    assert (directory / "memory.max").read_text() == str(PAGE)
    # No file is ever created, for a cgroup's files are the kernel's.
    assert sorted(os.listdir(directory)) == ["cpu.max", "memory.max"]


def test_a_file_longer_than_one_read_is_read_whole(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/a"
    directory.mkdir(parents=True)
    lines = [f"8:{n} rbps={n + 1} wbps=max riops=max wiops=max\n" for n in range(2000)]
    (directory / "io.max").write_text("".join(lines))
    assert Writer(tmp_path, 2).read("a", fields.IO_MAX, "8:1999").value == "rbps=2000 wbps=max riops=max wiops=max"
