"""Whatever happens to one cgroup at whatever moment, the writer raises nothing, and the others have their values."""

from __future__ import annotations

import ast
import errno
import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import koordnri.host
from koordnri.host.cgroup.change import Change, Outcome, Status, by_level
from koordnri.host.cgroup.spelling import form
from koordnri.host.cgroup.value import WriteFailed
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Field, fields
from tests.host.fake_kernel import PAGE, ROOT
from tests.host.watched_kernel import NEVER, WatchedKernel

TOP, POD, C1, C2 = "kubepods", "kubepods/podX", "kubepods/podX/c1", "kubepods/podX/c2"
OTHER, ITS = "kubepods/podY", "kubepods/podY/c1"
TREE = (TOP, POD, C1, C2, OTHER, ITS)
BOTH = pytest.mark.parametrize("version", [1, 2])


@pytest.mark.parametrize("room", ["host", "reconcile"])
def test_no_assert_stands_between_us_and_the_world(room: str) -> None:
    """What is read may be anything: it is answered, not asserted."""
    found = [
        f"{file}:{node.lineno}"
        for file in Path(koordnri.host.__file__).parents[1].joinpath(room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def watched(version: int) -> WatchedKernel:
    kernel = WatchedKernel(version, TREE)
    for name in (POD, C1, C2, OTHER, ITS):
        kernel.cgroups[name].quota, kernel.cgroups[name].burst = 150_000, 1_000
        kernel.cgroups[name].usage = 20 * PAGE
        kernel.cgroups[name].min = 4 * PAGE if version == 2 else 0
    return kernel


def changes(version: int) -> list[Change]:
    """Of two pods: some grow, some shrink, all kinds of steps."""
    wanted: dict[str, dict[Field, Any]] = {}
    for pod, inner in ((POD, (C1, C2)), (OTHER, (ITS,))):
        wanted[pod] = {fields.CPU_QUOTA: 90_000, fields.CPU_PERIOD: 50_000, fields.MEMORY_LIMIT: 64 * PAGE}
        for one in inner:
            wanted[one] = {
                fields.CPU_QUOTA: 40_000,
                fields.CPU_PERIOD: 50_000,
                fields.CPU_BURST: 20_000,
                fields.CPU_CPUS: "1-2",
                fields.CPU_SHARES: 512,
                fields.MEMORY_LIMIT: 30 * PAGE,
            }
        if version == 2:
            for one in (pod, *inner):
                wanted[one] |= {fields.MEMORY_HIGH: 10 * PAGE, fields.MEMORY_MIN: PAGE, fields.MEMORY_LOW: 2 * PAGE}
    return [Change(directory, field, "", value) for directory, of in wanted.items() for field, value in of.items()]


def run(kernel: WatchedKernel, at: int, then: Callable[[str], None]) -> list[Outcome]:
    kernel.at_call(at, then)
    given = by_level(changes(kernel.version))
    outcomes = Writer(ROOT, kernel.version, kernel).apply(given)
    assert [o.change for o in outcomes] == [c for level in given for c in level]
    return outcomes


def of(outcomes: list[Outcome], *directories: str) -> set[Status]:
    return {
        o.status for o in outcomes if o.change.directory in directories and o.change.field is not fields.MEMORY_HIGH
    }


def calls_of(version: int) -> int:
    kernel = watched(version)
    assert of(run(kernel, NEVER, lambda path: None), *TREE) == {Status.WRITTEN}
    assert kernel.calls > 50
    return kernel.calls


@BOTH
@pytest.mark.parametrize("gone", [(C1,), (POD, C1, C2)])
def test_a_cgroup_may_vanish_at_any_moment(version: int, gone: tuple[str, ...]) -> None:
    for at in range(1, calls_of(version) + 1):
        kernel = watched(version)

        def vanish(path: str, kernel: WatchedKernel = kernel) -> None:
            for directory in gone:
                del kernel.cgroups[directory]

        outcomes = run(kernel, at, vanish)
        assert of(outcomes, *gone) <= {Status.GONE, Status.WRITTEN}, at
        assert of(outcomes, OTHER, ITS) == {Status.WRITTEN}, at
        assert not [o for o in outcomes if o.status is Status.GONE and "no such cgroup" not in o.error]


@BOTH
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.ENODEV])
def test_any_call_may_fail_once(version: int, number: int) -> None:
    for at in range(1, calls_of(version) + 1):
        kernel = watched(version)

        def fail(path: str, kernel: WatchedKernel = kernel) -> None:
            if kernel.exists(path) and not path.endswith(("/", "podX", "podY", "c1", "c2", "cpu", "net_cls", "cgroup")):
                raise OSError(number, os.strerror(number), path)

        statuses = {o.status for o in run(kernel, at, fail)}
        assert statuses <= {Status.WRITTEN, Status.REFUSED, Status.UNSUPPORTED, Status.DRIFTED_BACK}, at


@BOTH
def test_a_bug_costs_the_step_in_which_it_is_and_no_other(version: int) -> None:
    for at in range(
        3, calls_of(version) + 1, 2
    ):  # the first two calls look at the hierarchies, and are the writer's own
        kernel = watched(version)
        where: list[str] = []

        def raise_bug(path: str, where: list[str] = where) -> None:
            where.append(path)
            raise RuntimeError("made up")

        outcomes = run(kernel, at, raise_bug)
        assert {o.status for o in outcomes} <= {Status.WRITTEN, Status.REFUSED, Status.FAULT}
        faults = [o for o in outcomes if o.status is Status.FAULT]
        assert all("bug in koordnri: RuntimeError: made up (test_writer_faults.py:" in o.error for o in faults)
        mine = {o.change.directory for o in faults}
        assert len(mine) <= 1, at
        if "/podX" in where[0]:
            assert of(outcomes, OTHER, ITS) == {Status.WRITTEN}, at


@BOTH
def test_a_file_that_could_not_be_read_is_the_same_as_nothing(version: int) -> None:
    spelled = [(f, s) for f in vars(fields).values() if isinstance(f, Field) and (s := form(f, version)) is not None]
    assert len(spelled) > 10
    for field, one in spelled:
        for value in (None, 0, -1, 5, "0-3", "", "default", "max", [], object()):
            assert one.same(None, value) is False, field
            assert one.same(value, None) is False, field
            assert one.same(value, object()) is False, field


@BOTH
def test_a_directory_that_is_none_has_no_cgroup(version: int) -> None:
    writer = Writer(ROOT, version, watched(version))
    assert not any(writer.has(directory) for directory in ("", "/etc", "a/../../etc", "\0"))


@BOTH
@pytest.mark.parametrize("field", [fields.CPU_CPUS, fields.CPU_QUOTA, fields.MEMORY_LIMIT, fields.CPU_SHARES])
@pytest.mark.parametrize("value", [None, "x", 1.5, [], {}, b"", True, 2**70, -(2**70), object(), float("nan")])
def test_a_value_of_any_type_is_refused_or_written(version: int, field: Field, value: Any) -> None:
    kernel = watched(version)
    (outcome,) = Writer(ROOT, version, kernel).apply([[Change(C1, field, "", value)]])
    assert outcome.status in (Status.REFUSED, Status.WRITTEN, Status.SAME, Status.DRIFTED_BACK), outcome


@BOTH
@pytest.mark.parametrize("nonsense", ["", "x", "-", "1-", "9" * 5000, "\0", "max max max", "²", "1_0"])
def test_nonsense_in_any_file_is_reported_with_its_path(version: int, nonsense: str) -> None:
    kernel = watched(version)
    kernel.read = lambda path: nonsense  # type: ignore[method-assign]  # the edge, for one test
    outcomes = Writer(ROOT, version, kernel).apply(by_level(changes(version)))
    assert {o.status for o in outcomes} <= {Status.REFUSED, Status.WRITTEN, Status.DRIFTED_BACK}, {
        o.error for o in outcomes if o.status is Status.FAULT
    }


@BOTH
def test_a_failure_keeps_no_frames_alive(version: int) -> None:
    """A cycle of failure, traceback and frame would keep all that the callers hold until the garbage collector runs."""
    writer = Writer(ROOT, version, WatchedKernel(version, (TOP,)))
    gc.collect()
    gc.disable()
    try:
        gone = Change("kubepods/gone", fields.CPU_QUOTA, "", 50_000)
        assert writer.read(gone.directory, gone.field).status is Status.GONE
        (outcome,) = writer.apply([[gone]])
        assert outcome.status is Status.GONE
        assert [o for o in gc.get_objects() if isinstance(o, WriteFailed)] == []
    finally:
        gc.enable()
