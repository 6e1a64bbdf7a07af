"""What the pictures of koordnri.answers.map have in common: the mark of each CPU, its colour, the sentences beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from koordnri.model import CPUSet

PALETTE = (
    "#8dd3c7",
    "#ffd92f",
    "#bebada",
    "#fb8072",
    "#80b1d3",
    "#fdb462",
    "#b3de69",
    "#fccde5",
    "#c994c7",
    "#ccebc5",
    "#a6cee3",
    "#e5c494",
)
"""Backgrounds of owners, in the order of the owners, again from the first after the last. All are light enough for black letters."""
STATES = {
    "several": ("!", "exclusive to more than one owner"),
    "shared": (".", "shared by containers without exclusive CPUs"),
    "reserved": ("#", "reserved for the system"),
    "system": ("%", "for SYSTEM pods only"),
    "kubelet": ("@", "pinned by kubelet for a container that is not known"),
    "isolated": ("=", "isolated from the kernel's scheduler"),
    "unused": ("_", "no pod may run there"),
    "offline": ("-", "offline; the kernel does not say where it is"),
}
"""State → (mark, meaning). A CPU with one owner has the owner's letter."""


class Mark(NamedTuple):
    """How one CPU is drawn."""

    letter: str
    state: str
    colour: str
    """background, "" where the state gives it"""


def mark(cpu: Mapping[str, Any], owners: Sequence[Mapping[str, str]]) -> Mark:
    """The mark of one of `cpus`."""
    state = cpu["state"]
    if state == "owned":
        index = cpu["owners"][0]
        return Mark(owners[index]["letter"], state, colour(index))
    return Mark(STATES[state][0], state, "")


def colour(index: int) -> str:
    """Background of the owner with this index."""
    return PALETTE[index % len(PALETTE)]


def title(shape: Mapping[str, Any]) -> str:
    """One line above the picture."""
    return f"CPUs of node {shape['node']}" if shape["node"] else "CPUs of the node"


def summary(shape: Mapping[str, Any]) -> str:
    """How many CPUs there are, and what they are."""
    cpus = shape["cpus"]
    if not cpus:
        return "The node's CPU topology is not known."
    counted = [(len({(c["socket"]) for c in cpus}), "socket")]
    counted += [(len({c[key] for c in cpus}), name) for key, name in (("numa", "NUMA node"), ("l3", "L3 cache"))]
    counted += [(len({c["core"] for c in cpus}), "core"), (len(cpus), "CPU")]
    counts = {state: len(CPUSet.parse(listed)) for state, listed in shape["sets"].items()}
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{', '.join(_plural(*one) for one in counted)}: {states}"


def who(owner: Mapping[str, str]) -> str:
    """Pod and container of an owner."""
    return f"{owner['pod']} {owner['container'] or '(pod)'}"


def has(owner: Mapping[str, str]) -> str:
    """An owner's CPUs."""
    if not owner["coming"]:
        return owner["cpus"]
    return f"{owner['cpus'] or 'none yet'}, coming: {owner['coming']}"


def states_of(shape: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """(state, mark, meaning, CPUs) of each state that a CPU of this node has, without single owners."""
    sets = shape["sets"]
    return [(state, sign, meaning, sets[state]) for state, (sign, meaning) in STATES.items() if sets.get(state)]


def pools_of(shape: Mapping[str, Any]) -> list[str]:
    """One line per share pool, and one per pool that is empty."""
    if not shape["pools"]:
        return ["no share pools: nothing is taken, so all containers may use all shared CPUs"] if shape["cpus"] else []
    lines = [
        f"share pool {p['class']}, socket {p['socket']}, NUMA node {p['node']}: {p['cpus']}" for p in shape["pools"]
    ]
    lines += [f"the share pool of {name} would be empty: it uses CPUs that are taken" for name in shape["emptyPools"]]
    return lines


def grouped(cpus: Iterable[Mapping[str, Any]], *keys: str) -> list[tuple[tuple[int, ...], list[Mapping[str, Any]]]]:
    """CPUs by these keys, in the order in which they come."""
    groups: dict[tuple[int, ...], list[Mapping[str, Any]]] = {}
    for cpu in cpus:
        groups.setdefault(tuple(cpu[key] for key in keys), []).append(cpu)
    return list(groups.items())


def _plural(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
