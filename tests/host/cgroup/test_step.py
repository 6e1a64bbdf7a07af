"""Steps that get stuck: no child is set beyond its parent, no parent below its child."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.model import Field, fields
from tests.host.cgroup.one_writer import BOTH, C1, C2, POD, apply, change, kernel_and_writer
from tests.host.fake_kernel import PAGE

STUCK_ABOVE: list[tuple[Field, Any, Any]] = [
    (fields.CPU_QUOTA, 50_000, 80_000),
    (fields.CPU_CPUS, "0-1", "0-3"),
    (fields.MEMORY_LIMIT, 10 * PAGE, 20 * PAGE),
]


def refuse(directory: str) -> Callable[[str, str], None]:
    def refused(path: str, text: str) -> None:
        if path.rpartition("/")[0].endswith(f"/{directory}"):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    return refused


@BOTH
@pytest.mark.parametrize(("field", "small", "large"), STUCK_ABOVE)
def test_no_child_grows_beyond_a_parent_that_could_not(version: int, field: Field, small: Any, large: Any) -> None:
    kernel, writer = kernel_and_writer(version)
    apply(writer, *(change(path, field, small) for path in (POD, C1, C2)))
    kernel.before_write = refuse(POD)
    outcomes = apply(writer, *(change(path, field, large) for path in (POD, C1)), change(C2, field, small))
    assert {path: o.status for (path, _), o in outcomes.items()} == {
        POD: Status.REFUSED,
        C1: Status.REFUSED,
        C2: Status.SAME,
    }
    assert "EPERM" in outcomes[POD, field].error
    assert f"{POD} above could not be changed and keeps" in outcomes[C1, field].error
    assert kernel.violations == []


@BOTH
@pytest.mark.parametrize(("field", "small"), [(fields.CPU_QUOTA, 50_000), (fields.MEMORY_LIMIT, 10 * PAGE)])
def test_a_child_may_lose_its_own_limit_below_a_parent_that_keeps_one(version: int, field: Field, small: int) -> None:
    kernel, writer = kernel_and_writer(version)
    apply(writer, *(change(path, field, small) for path in (POD, C1)))
    kernel.before_write = refuse(POD)
    outcomes = apply(writer, *(change(path, field, -1) for path in (POD, C1)))
    assert [o.status for o in outcomes.values()] == [Status.REFUSED, Status.WRITTEN]


@BOTH
@pytest.mark.parametrize(("field", "small"), [(fields.CPU_QUOTA, 50_000), (fields.MEMORY_LIMIT, 10 * PAGE)])
def test_unset_is_wide_above_as_well(version: int, field: Field, small: int) -> None:
    kernel, writer = kernel_and_writer(version)
    apply(writer, *(change(path, field, small) for path in (POD, C1)))
    outcomes = apply(writer, change(POD, field, 0), change(C1, field, 2 * small))
    assert [o.status for o in outcomes.values()] == [Status.WRITTEN, Status.WRITTEN]
    assert kernel.violations == []


@BOTH
@pytest.mark.parametrize(("field", "small", "large"), STUCK_ABOVE)
def test_no_parent_shrinks_below_a_child_that_would_not(version: int, field: Field, small: Any, large: Any) -> None:
    kernel, writer = kernel_and_writer(version)
    apply(writer, *(change(path, field, large) for path in (POD, C1, C2)))
    kernel.before_write = refuse(C1)
    outcomes = apply(writer, *(change(path, field, small) for path in (POD, C1, C2)))
    assert {path: o.status for (path, _), o in outcomes.items()} == {
        POD: Status.REFUSED,
        C1: Status.REFUSED,
        C2: Status.WRITTEN,
    }
    assert f"{C1} below could not be changed and keeps" in outcomes[POD, field].error
    assert kernel.violations == []


def test_no_parent_shrinks_below_a_child_that_drifted_back() -> None:
    kernel, writer = kernel_and_writer(2)
    for path in (POD, C1):
        kernel.cgroups[path].limit = 10 * PAGE

    def change_back(path: str, text: str) -> None:
        kernel.cgroups[C1].limit = 10 * PAGE

    kernel.after_write = change_back
    outcomes = apply(writer, *(change(path, fields.MEMORY_LIMIT, 5 * PAGE) for path in (POD, C1)))
    assert {path: o.status for (path, _), o in outcomes.items()} == {POD: Status.REFUSED, C1: Status.DRIFTED_BACK}
    assert kernel.cgroups[POD].limit == 10 * PAGE
