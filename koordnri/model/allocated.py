"""The exclusive CPUs of one container, and their text in notes and annotations: `2-3 PCPULevel`."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

from koordnri.model.cpuset import NO_CPUS, CPUSet

Exclusive = Literal["", "PCPULevel", "NUMANodeLevel"]
"""Neighbours that a container refuses: others with the same wish on its cores, or on its NUMA nodes; "": none."""
_EXCLUSIVES = get_args(Exclusive)


class Allocated:
    """CPUs that this node gave to one container. Immutable. False when there are none."""

    __slots__ = ("cpus", "exclusive")

    def __init__(self, cpus: CPUSet, exclusive: Exclusive = "") -> None:
        self.cpus = cpus
        self.exclusive = exclusive
        """Inverse of `str`. NOT_ALLOCATED for another text: the pod's owner may write the annotation, too."""

    @classmethod
    def parse(cls, text: str) -> Allocated:
        """Inverse of `str`. NOT_ALLOCATED for a text that is no such note: a pod's owner may write the annotation, too."""
        listed, _, exclusive = text.partition(" ")
        if exclusive not in _EXCLUSIVES:
            return NOT_ALLOCATED
        try:
            cpus = CPUSet.parse(listed)
        except ValueError:
            return NOT_ALLOCATED
        return cls(cpus, cast("Exclusive", exclusive)) if cpus else NOT_ALLOCATED

    def __str__(self) -> str:
        return f"{self.cpus} {self.exclusive}".rstrip() if self.cpus else ""

    def __repr__(self) -> str:
        return f"Allocated({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self.cpus)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Allocated) and (self.cpus, self.exclusive) == (other.cpus, other.exclusive)

    def __hash__(self) -> int:
        return hash((self.cpus, self.exclusive))


NOT_ALLOCATED = Allocated(NO_CPUS)


def to_json(value: Any) -> str:
    """For msgspec's `enc_hook`: the text of an Allocated."""
    if isinstance(value, Allocated):
        return str(value)
    raise NotImplementedError(f"expected Allocated, got {type(value).__name__}")


def from_json(shape: type, value: Any) -> Any:
    """For msgspec's `dec_hook`: the Allocated of a text; anything but a text holds no note."""
    if shape is Allocated:
        return Allocated.parse(value) if isinstance(value, str) else NOT_ALLOCATED
    raise NotImplementedError(f"expected Allocated, got {shape.__name__}")
