"""Finds strategies hidden by others: the first that matches a node wins, so a later one may never be used.

This finds what holds for every node. Whether a real node matches several is reported when its policy is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from koordnri.policy.selector import NodeSelector, Requirement

MOST_COMPARISONS = 20_000
"""Most comparisons of rules (a fraction of a second); strategies after that are not checked. Selectors are indexed by label, so that an
ordinary document of thousands of strategies needs fewer."""


class _Rule(NamedTuple):
    """What a selector requires of one label."""

    values: frozenset[str] | None
    """one of these values; None: any"""
    excluded: frozenset[str]
    """none of these values; not empty only if `values` is None"""
    present: bool | None
    """None: the label may be absent"""

    @property
    def impossible(self) -> bool:
        return self.values is not None and (not self.values or self.present is False)

    def implied_by(self, other: _Rule) -> bool:
        """Whether every label that satisfies `other` (which is possible) satisfies this rule."""
        if other.present is False:  # an absent label has no value that could be excluded
            return self.present is not True
        if self.present is False or (self.present and not other.present):
            return False
        if self.values is not None:
            return other.values is not None and other.values <= self.values
        return not self.excluded & other.values if other.values is not None else self.excluded <= other.excluded


_Rules = Mapping[str, _Rule]
_Drawer = tuple[str, str | None]


def never_taken(selectors: Sequence[NodeSelector]) -> Iterator[tuple[int, int | None]]:
    """(index, index of an earlier one that matches all its nodes), for hidden ones; None instead if it matches no node at all."""
    filed: dict[_Drawer, list[tuple[int, _Rules]]] = {}
    left = MOST_COMPARISONS

    def crowded(drawers: list[_Drawer]) -> int:
        return len(drawers) + sum(len(filed.get(drawer, ())) for drawer in drawers)

    for index, selector in enumerate(selectors):
        rules = _rules(selector)
        if rules is None:
            yield index, None
            continue
        for earlier, known in _candidates(rules, filed):
            left -= len(known)
            if left < 0:
                return
            if all(key in rules and rule.implied_by(rules[key]) for key, rule in known.items()):
                yield index, earlier
                break
        else:  # a hidden one is not filed: what it would hide, its hider hides too
            for drawer in min((_drawers(key, rule) for key, rule in rules.items()), key=crowded):
                filed.setdefault(drawer, []).append((index, rules))


def _drawers(key: str, rule: _Rule) -> list[_Drawer]:
    """Where to file a selector with this rule: whatever it hides requires the same label, with one of its values or any."""
    return [(key, None)] if rule.values is None else [(key, value) for value in rule.values]


def _candidates(rules: _Rules, filed: Mapping[_Drawer, list[tuple[int, _Rules]]]) -> Iterator[tuple[int, _Rules]]:
    for key, rule in rules.items():
        yield from filed.get((key, None), ())
        if rule.values is not None:
            yield from filed.get((key, min(rule.values)), ())


def _rules(selector: NodeSelector) -> _Rules | None:
    """Label → what is required of it; None when no node can satisfy it."""
    asked = [Requirement(key, "In", (value,)) for key, value in selector.match_labels.items()]
    rules: dict[str, _Rule] = {}
    impossible = False
    for requirement in (*asked, *selector.match_expressions):
        values, excluded, present = rules.get(requirement.key, _Rule(None, frozenset(), None))
        named = frozenset(requirement.values)
        match requirement.operator:
            case "In":
                values = named if values is None else values & named
                impossible = impossible or present is False
                present = True
            case "NotIn":
                excluded |= named
            case "Exists":
                impossible = impossible or present is False
                present = True
            case "DoesNotExist":
                impossible = impossible or present is True
                present = False
        if values is not None:
            values -= excluded
        rules[requirement.key] = _Rule(values, excluded, present)
    if impossible or any(rule.impossible for rule in rules.values()):
        return None
    return rules
