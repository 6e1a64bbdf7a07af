"""Kubernetes LabelSelectors: the nodes that a strategy applies to, the namespaces that a trust rule believes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import field

from koordnri.policy.reader import Document
from koordnri.policy.units import Text


class Requirement(Document, frozen=True):
    """One of matchExpressions."""

    key: Text
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    def check(self) -> Iterator[tuple[str, str]]:
        takes_values = self.operator in ("In", "NotIn")
        if takes_values and not self.values:
            yield "values", f"expected at least one value for {self.operator}, got none"
        if not takes_values and self.values:
            yield "values", f"expected no values for {self.operator}, got {len(self.values)}"

    def __str__(self) -> str:
        """As in `kubectl --selector`."""
        if self.operator in ("Exists", "DoesNotExist"):
            return self.key if self.operator == "Exists" else f"!{self.key}"
        return f"{self.key} {self.operator.lower()} ({','.join(self.values)})"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """A label that is absent satisfies NotIn, as in Kubernetes."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class LabelSelector(Document, frozen=True):
    """All labels and all expressions must hold."""

    match_labels: dict[str, str] = field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it has no requirements."""
        return not self.match_labels and not self.match_expressions

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it matches an object with these labels."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )

    def __str__(self) -> str:
        """As in `kubectl --selector`."""
        return ",".join((*(f"{k}={v}" for k, v in self.match_labels.items()), *map(str, self.match_expressions)))


class NodeSelector(LabelSelector, frozen=True):
    """Nodes."""


class NamespaceSelector(LabelSelector, frozen=True, forbid_unknown_fields=True):
    """Namespaces. An unknown key is a mistake here: it could have narrowed whom the selector means."""
