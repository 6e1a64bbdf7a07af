"""Which of two values is the wider one, and whether a child's value lies within its parent's.

The kernel holds some fields to their parent's: on v1 it refuses a quota above it (EINVAL), a cpuset outside of it (EACCES) and a
parent's cpuset smaller than a child's (EBUSY); memory.min and low protect only within the parent's (koordinator.md 10.2, cgroup-v2.rst).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from koordnri.model import CPUSet, Field, fields
from koordnri.model.field import FieldTableError, Nesting


class Order(NamedTuple):
    """How the values of a field lie within each other. `a` and `b` are values as `spelling` parses them.

    covers   (a, b): a is as wide as b, or wider
    join     (a, b): the smallest value that covers both
    fits     (child, parent): the kernel may hold both at once
    """

    covers: Callable[[Any, Any], bool]
    join: Callable[[Any, Any], Any]
    fits: Callable[[Any, Any], bool]


def nesting(field: Field, version: int) -> Order | None:
    """None for a field that a cgroup has regardless of its parent."""
    return None if field.nesting is None else _ORDERS[field.nesting][version - 1]


def ratio(quota_us: int, period_us: int) -> Fraction | int:
    """CPUs that a quota gives; -1 for no limit. Bandwidth is compared by this, as the kernel does, not by the quota."""
    return Fraction(quota_us, period_us) if quota_us > 0 else fields.UNLIMITED


def _amount(value: Any) -> Any:
    return math.inf if value < 0 else value


def _at_least(a: Any, b: Any) -> bool:
    return bool(_amount(a) >= _amount(b))


def _larger(a: Any, b: Any) -> Any:
    return a if _at_least(a, b) else b


# A child without a limit has its parent's; one that wants all memory protected does not. And what is protected of siblings adds up.
LIMIT = Order(_at_least, _larger, lambda child, parent: child < 0 or _at_least(parent, child))
PROTECTION = Order(_at_least, _larger, lambda child, parent: _at_least(parent, child))


def _contains(a: str, b: str) -> bool:
    return CPUSet.parse(b) <= CPUSet.parse(a)


def _union(a: str, b: str) -> str:
    return str(CPUSet.parse(a) | CPUSet.parse(b))


def _v2_contains(a: str, b: str) -> bool:
    return not a or (bool(b) and _contains(a, b))


# On v1 "" is no CPU at all. On v2 it is whatever the parent has, so the widest there is.
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
"""Column `nesting` → order of v1, of v2"""
if missing := set(Nesting) - _ORDERS.keys():
    raise FieldTableError(f"koordnri.host.cgroup.nesting has no order for {missing}")
