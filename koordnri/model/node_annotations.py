"""What Koordinator writes on the Node object (and on its NodeResourceTopology) that a decision needs.

A value that cannot be used is a problem to be told, and costs nothing but itself. Source: koordlet.md 1.13, 2.1, 2.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

import msgspec

from koordnri.model.cpuset import CPUSet
from koordnri.model.node import Pool

NORMALIZATION_RATIO_KEY = "node.koordinator.sh/cpu-normalization-ratio"
SYSTEM_QOS_KEY = "node.koordinator.sh/system-qos-resource"
LS_POOLS_KEY = "node.koordinator.sh/cpu-shared-pools"
RESERVATION_KEY = "node.koordinator.sh/reservation"
BE_POOLS_KEY = "node.koordinator.sh/be-cpu-shared-pools"

_RATIO = re.compile(r"\+?(?:\d{1,20}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,2})?", re.ASCII)


class AnnotatedNode(NamedTuple):
    """Fields of NodeState that annotations tell; empty or None where they tell nothing usable."""

    system_cpus: str = ""
    system_exclusive: bool = True
    reserved_cpus: CPUSet = CPUSet()
    normalization_ratio: Fraction | None = None
    ls_pools: tuple[Pool, ...] = ()
    be_pools: tuple[Pool, ...] = ()
    problems: tuple[str, ...] = ()
    """what is wrong, each with its annotation"""


class _SystemQOS(msgspec.Struct):
    cpuset: str = ""
    exclusive: bool | None = msgspec.field(default=None, name="cpusetExclusive")


class _Reservation(msgspec.Struct):
    cpus: str = msgspec.field(default="", name="reservedCPUs")


class _Pool(msgspec.Struct):
    socket: int = 0
    node: int = 0
    cpuset: str = ""


_reservation = msgspec.json.Decoder(_Reservation)
_system_qos = msgspec.json.Decoder(_SystemQOS)
_pools = msgspec.json.Decoder(list[_Pool])


def read_node_annotations(annotations: Mapping[str, str], online: CPUSet | None = None) -> AnnotatedNode:
    """What the annotations say. CPU sets are checked against `online` where that is known."""
    problems: list[str] = []
    system_cpus, system_exclusive, reserved, ratio = "", True, CPUSet(), None
    pools: dict[str, tuple[Pool, ...]] = {}
    try:
        system_cpus, system_exclusive = _read_system_cpus(annotations, online)
    except (ValueError, msgspec.MsgspecError) as error:
        problems.append(f"annotation {SYSTEM_QOS_KEY}: {error}")
    try:
        reserved = CPUSet.parse(_reservation.decode(annotations.get(RESERVATION_KEY, "{}")).cpus)
    except (ValueError, msgspec.MsgspecError) as error:
        problems.append(f"annotation {RESERVATION_KEY}: {error}")
    try:
        ratio = _read_ratio(annotations)
    except ValueError as error:
        problems.append(f"annotation {NORMALIZATION_RATIO_KEY}: {error}")
    for key in (LS_POOLS_KEY, BE_POOLS_KEY):
        try:
            pools[key] = _read_pools(annotations.get(key), online)
        except (ValueError, msgspec.MsgspecError) as error:
            problems.append(f"annotation {key}: {error}")
    return AnnotatedNode(
        system_cpus,
        system_exclusive,
        reserved,
        ratio,
        pools.get(LS_POOLS_KEY, ()),
        pools.get(BE_POOLS_KEY, ()),
        tuple(problems),
    )


def check_cpus(text: str, online: CPUSet | None) -> None:
    """Raises ValueError when the text is no list of CPUs, or names some that the node does not have online."""
    cpus = CPUSet.parse(text)
    if online is not None and not cpus <= online:
        raise ValueError(f"expected CPUs of {online}, which are online, got {str(cpus - online)[:60]}")


def _read_system_cpus(annotations: Mapping[str, str], online: CPUSet | None) -> tuple[str, bool]:
    text = annotations.get(SYSTEM_QOS_KEY)
    if text is None:
        return "", True
    said = _system_qos.decode(text)
    cpus = said.cpuset.strip()
    try:
        check_cpus(cpus, online)
    except ValueError as error:
        raise ValueError(f"cpuset: {error}") from None
    return cpus, said.exclusive is not False


def _read_ratio(annotations: Mapping[str, str]) -> Fraction | None:
    text = annotations.get(NORMALIZATION_RATIO_KEY)
    if text is None:
        return None
    ratio = Fraction(text) if _RATIO.fullmatch(text) else None
    if not ratio:
        raise ValueError(f'expected a number above 0 such as 1.20, got "{text[:60]}"')
    return ratio


def _read_pools(text: str | None, online: CPUSet | None) -> tuple[Pool, ...]:
    if text is None:
        return ()
    pools = []
    for index, pool in enumerate(_pools.decode(text)):
        cpus = pool.cpuset.strip()
        try:
            check_cpus(cpus, online)
        except ValueError as error:
            raise ValueError(f"[{index}].cpuset: {error}") from None
        pools.append(Pool(pool.socket, pool.node, cpus))
    return tuple(pools)
