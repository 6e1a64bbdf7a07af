"""Koordinator's annotations on the Node object (and on its NodeResourceTopology) that decisions need.

A value that cannot be used is reported as a problem, and costs only itself. Source: koordinator.md 4.1, 4.2, 5.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec

from koordnri.model.annotations import MAX_CHARACTERS
from koordnri.model.cpuset import CPUSet
from koordnri.model.node import NodeState, Pool
from koordnri.model.quantity import quantity_milli
from koordnri.model.topology import Topology

NORMALIZATION_RATIO_KEY = "node.koordinator.sh/cpu-normalization-ratio"
SYSTEM_QOS_KEY = "node.koordinator.sh/system-qos-resource"
LS_POOLS_KEY = "node.koordinator.sh/cpu-shared-pools"
RESERVATION_KEY = "node.koordinator.sh/reservation"
BE_POOLS_KEY = "node.koordinator.sh/be-cpu-shared-pools"

_RATIO = re.compile(r"\+?(?:\d{1,20}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,2})?", re.ASCII)


_UNREADABLE = (ValueError, msgspec.MsgspecError, RecursionError)
"""Errors of a text that is not Koordinator's; the last one comes from brackets nested a thousand deep."""


class AnnotatedNode(NamedTuple):
    """Fields of NodeState from annotations; empty or None where there is nothing usable."""

    system_cpus: str = ""
    system_exclusive: bool = True
    reserved_cpus: CPUSet = CPUSet()
    normalization_ratio: Fraction | None = None
    ls_pools: tuple[Pool, ...] = ()
    be_pools: tuple[Pool, ...] = ()
    problems: tuple[str, ...] = ()
    """what is wrong, each with its annotation"""

    def applied(self, node: NodeState) -> NodeState:
        """The node with these facts, for a real and a described node alike."""
        return replace(
            node,
            system_cpus=self.system_cpus,
            system_exclusive=self.system_exclusive,
            reserved_cpus=self.reserved_cpus,
            normalization_ratio=self.normalization_ratio,
            ls_pools=self.ls_pools,
            be_pools=self.be_pools,
            problems=node.problems + self.problems,
        )


class SharedPools(NamedTuple):
    """Koordinator's share pools, as far as they can be parsed."""

    ls: tuple[Pool, ...] = ()
    be: tuple[Pool, ...] = ()
    problems: tuple[str, ...] = ()
    """what is wrong, each with its annotation"""

    def applied(self, node: NodeState) -> NodeState:
        """The node with these pools (from the NodeResourceTopology) instead of those in its own annotations.

        Pools that cannot be parsed are still Koordinator's, whose scheduler then assigns CPUs: `pools_awaited` stays.
        """
        problems = node.problems + tuple(f"NodeResourceTopology: {problem}" for problem in self.problems)
        if self.ls or self.be:
            return replace(node, ls_pools=self.ls, be_pools=self.be, problems=problems)
        return replace(node, pools_awaited=node.pools_awaited or bool(self.problems), problems=problems)


class _SystemQOS(msgspec.Struct):
    cpuset: str = ""
    exclusive: bool | None = msgspec.field(default=None, name="cpusetExclusive")


class _Reservation(msgspec.Struct):
    cpus: str | None = msgspec.field(default=None, name="reservedCPUs")
    resources: dict[str, Any] | None = None
    """quantities, of which only `cpu` counts"""


class _Pool(msgspec.Struct):
    socket: int = 0
    node: int = 0
    cpuset: str = ""


_reservation = msgspec.json.Decoder(_Reservation | None)
_system_qos = msgspec.json.Decoder(_SystemQOS)
_pools = msgspec.json.Decoder(list[_Pool])


def read_node_annotations(annotations: Mapping[str, str], topology: Topology | None = None) -> AnnotatedNode:
    """The facts in the annotations of a node with this topology. CPU sets are checked against its online CPUs if these are known."""
    online = None if topology is None else topology.online
    problems: list[str] = []
    system_cpus, system_exclusive, reserved, ratio = "", True, CPUSet(), None
    try:
        system_cpus, system_exclusive = _read_system_cpus(annotations, online)
    except _UNREADABLE as error:
        problems.append(f"annotation {SYSTEM_QOS_KEY}: {error}")
    try:
        reserved = _read_reservation(annotations, topology)
    except _UNREADABLE as error:
        problems.append(f"annotation {RESERVATION_KEY}: {error}")
    try:
        ratio = _read_ratio(annotations)
    except ValueError as error:
        problems.append(f"annotation {NORMALIZATION_RATIO_KEY}: {error}")
    pools = read_shared_pools(annotations, online)
    return AnnotatedNode(
        system_cpus, system_exclusive, reserved, ratio, pools.ls, pools.be, (*problems, *pools.problems)
    )


def read_shared_pools(annotations: Mapping[str, str], online: CPUSet | None = None) -> SharedPools:
    """The share pools in the annotations of the Node, or of its NodeResourceTopology."""
    problems: list[str] = []
    pools: dict[str, tuple[Pool, ...]] = {}
    for key in (LS_POOLS_KEY, BE_POOLS_KEY):
        try:
            pools[key] = _read_pools(_text(annotations, key), online)
        except _UNREADABLE as error:
            problems.append(f"annotation {key}: {error}")
    return SharedPools(pools.get(LS_POOLS_KEY, ()), pools.get(BE_POOLS_KEY, ()), tuple(problems))


def check_cpus(text: str, online: CPUSet | None) -> None:
    """Raises ValueError when the text is no list of CPUs, or names CPUs that are not online."""
    cpus = CPUSet.parse(text)
    if online is not None and not cpus <= online:
        raise ValueError(f"expected CPUs of {online}, which are online, got {str(cpus - online)[:60]}")


def _text(annotations: Mapping[str, str], key: str) -> str | None:
    """The annotation, None without it. Raises ValueError when it is too long to be read."""
    text = annotations.get(key)
    if text is not None and len(text) > MAX_CHARACTERS:
        raise ValueError(f"expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    return text


def _read_system_cpus(annotations: Mapping[str, str], online: CPUSet | None) -> tuple[str, bool]:
    text = _text(annotations, SYSTEM_QOS_KEY)
    if text is None:
        return "", True
    decoded = _system_qos.decode(text)
    cpus = decoded.cpuset.strip()
    try:
        check_cpus(cpus, online)
    except ValueError as error:
        raise ValueError(f"cpuset: {error}") from None
    return cpus, decoded.exclusive is not False


def _read_reservation(annotations: Mapping[str, str], topology: Topology | None) -> CPUSet:
    """`reservedCPUs`, or else as many CPUs as `resources.cpu`, rounded up. As in koordlet (pkg/koordlet/statesinformer/impl,
    getNodeReserved), a wrong amount costs the reservation: no CPU is reserved.
    """
    decoded = _reservation.decode(_text(annotations, RESERVATION_KEY) or "null")
    if decoded is None:
        return CPUSet()
    if decoded.cpus:
        return CPUSet.parse(decoded.cpus)
    try:
        amount = -(-quantity_milli((decoded.resources or {}).get("cpu") or 0) // 1000)
    except ValueError as error:
        raise ValueError(f"resources.cpu: {error}") from None
    if amount <= 0:
        return CPUSet()
    if topology is None:
        raise ValueError(f"resources.cpu: no CPUs are reserved, for the node's CPUs are not known; expected {amount}")
    cpus = topology.packed(amount)
    if cpus is None:
        online = len(topology.online)
        raise ValueError(
            f"resources.cpu: no CPUs are reserved; expected at most {online}, which are online, got {amount}"
        )
    return cpus


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
