"""Errors whose type says whose fault it is: the pod's (an annotation) or the node's (a file or annotation that describes it).

The protocol's errors are in `koordnri.wire.errors`, the policy's in `koordnri.policy`. Anything else that a hook raises is a bug.
"""

from __future__ import annotations

from typing import NamedTuple


class PodError(Exception):
    """The pod's owner wrote something unusable; the message says where. It costs that hook's fields on that pod, nothing else."""


class AnnotationError(PodError):
    """The mistake is in an annotation.

    `key` is the annotation; `problem` says what is wrong, where in the value, and what was expected.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"annotation {key}: {problem}")
        self.key = key
        self.problem = problem


class Problem(NamedTuple):
    """A mistake in a pod, kept so that it can be reported at each decision.

    It is not an exception: one that is kept and raised repeatedly keeps the frames of every raise, and grows without limit.
    """

    text: str
    key: str | None = None
    """the annotation; None: it is not in one"""

    @classmethod
    def of(cls, error: PodError) -> Problem:
        """The text of an error."""
        return cls(error.problem, error.key) if isinstance(error, AnnotationError) else cls(str(error))

    def error(self) -> PodError:
        """A new exception, to be raised once."""
        return PodError(self.text) if self.key is None else AnnotationError(self.key, self.text)


class NodeError(Exception):
    """A description of the node (file, annotation, sysfs) that cannot be used. `path` says where, e.g. `topology.sockets`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
