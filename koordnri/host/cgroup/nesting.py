"""Which of two values is wider, and whether a child's value is within its parent's.

The kernel bounds some fields by the parent's: on v1 it refuses a quota above it (EINVAL), a cpuset outside of it (EACCES) and a parent's
cpuset smaller than a child's (EBUSY); memory.min and low protect only within the parent's (koordinator.md 10.2, cgroup-v2.rst).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from koordnri.model import CPUSet, Field, fields
from koordnri.model.field import FieldTableError, Nesting


class Order(NamedTuple):
    """The order of a field's values. `a` and `b` are values as `spelling` parses them.

    covers   (a, b): a is as wide as b, or wider
    join     (a, b): the smallest value that covers both
    fits     (child, parent): the kernel may hold both at once
    """

    covers: Callable[[Any, Any], bool]
    join: Callable[[Any, Any], Any]
    fits: Callable[[Any, Any], bool]


def nesting(field: Field, version: int) -> Order | None:
    """None for a field that does not depend on the parent cgroup."""
    return None if field.nesting is None else _ORDERS[field.nesting][version - 1]


def ratio(quota_us: int, period_us: int) -> Fraction | int:
    """CPUs of a quota; -1 for no limit. Bandwidth is compared by this, as in the kernel, not by the quota."""
    return Fraction(quota_us, period_us) if quota_us > 0 else fields.UNLIMITED


def _amount(value: Any) -> Any:
    return math.inf if value < 0 else value


def _at_least(a: Any, b: Any) -> bool:
    return bool(_amount(a) >= _amount(b))


def _larger(a: Any, b: Any) -> Any:
    return a if _at_least(a, b) else b


# A child without a limit has its parent's. A child that wants all memory protected does not fit; and siblings' protection adds up.
LIMIT = Order(_at_least, _larger, lambda child, parent: child < 0 or _at_least(parent, child))
PROTECTION = Order(_at_least, _larger, lambda child, parent: _at_least(parent, child))


def _contains(a: str, b: str) -> bool:
    return CPUSet.parse(b) <= CPUSet.parse(a)


def _union(a: str, b: str) -> str:
    return str(CPUSet.parse(a) | CPUSet.parse(b))


def _v2_contains(a: str, b: str) -> bool:
    return not a or (bool(b) and _contains(a, b))


# On v1 "" means no CPU. On v2 it means all of the parent's, so it is the widest set.
_V1_CPUS = Order(_contains, _union, lambda child, parent: _contains(parent, child))
_V2_CPUS = Order(
    _v2_contains,
    lambda a, b: _union(a, b) if a and b else "",
    lambda child, parent: not child or _v2_contains(parent, child),
)

_ORDERS = {
    Nesting.LIMIT: (LIMIT, LIMIT),
    Nesting.PROTECTION: (PROTECTION, PROTECTION),
    Nesting.CPUSET: (_V1_CPUS, _V2_CPUS),
}
"""column `nesting` → (order for v1, for v2)"""
if missing := set(Nesting) - _ORDERS.keys():
    raise FieldTableError(f"koordnri.host.cgroup.nesting has no order for {missing}")
