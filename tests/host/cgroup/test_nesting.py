"""How values of one field lie within each other: which is the wider one, and what a child may have of its parent's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.host.cgroup.nesting import Order, nesting, ratio
from koordnri.model import CPUSet, Field, fields

NESTED = [(f, version) for f in fields.ALL if f.nesting is not None for version in (1, 2)]
CPUS = st.sets(st.integers(0, 5)).map(lambda cpus: str(CPUSet(cpus)))
NUMBERS = st.integers(-1, 5)


def order_of(field: Field, version: int) -> Order:
    found = nesting(field, version)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("field", "version", "child", "parent", "fits"),
    [
        (fields.CPU_QUOTA, 1, 2, 2, True),
        (fields.CPU_QUOTA, 1, 3, 2, False),
        pytest.param(fields.CPU_QUOTA, 1, -1, 2, True, id="a-child-without-a-limit-has-its-parents"),
        (fields.MEMORY_LIMIT, 2, 3, -1, True),
        (fields.MEMORY_MIN, 2, 2, 3, True),
        pytest.param(fields.MEMORY_MIN, 2, -1, 2, False, id="a-child-that-wants-all-memory-protected-does-not-fit"),
        (fields.CPU_CPUS, 1, "0-1", "0-3", True),
        (fields.CPU_CPUS, 1, "0-4", "0-3", False),
        pytest.param(fields.CPU_CPUS, 1, "0", "", False, id="on-v1-empty-is-no-CPU"),
        pytest.param(fields.CPU_CPUS, 2, "0", "", True, id="on-v2-empty-is-whatever-the-parent-has"),
        (fields.CPU_MEMS, 2, "", "0", True),
    ],
)
def test_a_childs_value_fits_its_parents_or_not(
    field: Field, version: int, child: Any, parent: Any, fits: bool
) -> None:
    assert order_of(field, version).fits(child, parent) is fits


@pytest.mark.parametrize("field", [fields.CPU_SHARES, fields.CPU_BURST, fields.IO_MAX, fields.ENV])
def test_what_a_cgroup_has_regardless_of_its_parent_has_no_order(field: Field) -> None:
    assert nesting(field, 1) is None
    assert nesting(field, 2) is None


@pytest.mark.parametrize(("field", "version"), NESTED)
@given(data=st.data())
def test_the_join_of_two_values_is_as_wide_as_both(field: Field, version: int, data: st.DataObject) -> None:
    values = CPUS if field.whole else NUMBERS
    a, b = data.draw(values), data.draw(values)
    order = order_of(field, version)
    joined = order.join(a, b)
    assert order.covers(joined, a)
    assert order.covers(joined, b)
    assert order.fits(a, joined), "a parent that is joined with its child's value has room for the child"
    assert order.covers(a, a)


def test_bandwidth_is_compared_by_the_cpus_that_it_gives() -> None:
    assert ratio(50_000, 100_000) == ratio(5_000, 10_000)
    assert ratio(-1, 100_000) == ratio(0, 10_000) == -1
