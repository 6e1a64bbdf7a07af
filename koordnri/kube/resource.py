"""What a watch is of, and who receives its changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from koordnri.kube.objects import Object

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """What to watch."""

    noun: str
    """for the thread's name and the metrics: `pods`"""
    path: str
    kind: str
    """kind of one object: `Pod`"""
    type: type[Object]
    """type that an object is decoded as"""
    keep: Callable[[Any], T]
    """makes what is kept of an object and passed to the sink"""
    selector: str
    """fieldSelector; "": all objects"""
    optional: bool = False
    """whether the API may lack this kind, because somebody installs its definition; then 404 means that there is no object"""


def itself(item: Any) -> Any:
    """For small objects, which are kept whole."""
    return item


class Sink(Protocol[T_contra]):
    """Receives changes, in the watch's thread. An exception costs that object, or that list, and is logged with its traceback."""

    def replaced(self, objects: Sequence[T_contra]) -> None:
        """These are all objects: others are gone."""

    def changed(self, item: T_contra) -> None:
        """The object is new or changed."""

    def deleted(self, item: T_contra) -> None:
        """The object is gone; `item` is its last state."""
