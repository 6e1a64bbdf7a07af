"""The documents in a text of manifests, YAML or JSON, read piece by piece.

`kubectl get pods -A -o yaml` prints one document for a whole node, and its objects take ten times the text's size in memory. So the text is
gone through once, without making anything of it: that checks its grammar and finds where each element of a list begins and ends. Then one
element is read at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from koordnri.cli.text_outline import Outline, Span, outline_json, outline_yaml
from koordnri.policy.errors import DocumentError, Mistake
from koordnri.policy.text import CheckedValues, Mapping, parse_json

_BLANKS = re.compile(r"\s*")


class ManifestDocument(NamedTuple):
    """One document of a text, not read yet. Reading raises DocumentError."""

    text: str
    """the whole text"""
    outline: Outline
    json: bool

    def value(self) -> Any:
        """The document; without the elements of `items`, if `items()` has them."""
        span, listed = self.outline.span, self.outline.listed
        if listed is None:
            return self._read(span)
        shell = f"{self.text[span.start : listed.start]} []\n{self.text[listed.end : span.end]}"
        return parse_json(shell) if self.json else _read_yaml(shell, span)

    def items(self) -> Iterator[Any] | None:
        """The elements of `items`, each read when its turn comes; None when `value()` has them."""
        return None if self.outline.listed is None else map(self._read, self.outline.elements)

    def _read(self, span: Span) -> Any:
        part = self.text[span.start : span.end]
        return parse_json(part) if self.json else _read_yaml(part, span)


def documents(text: str) -> list[ManifestDocument]:
    """The documents of a text, without empty ones. Raises DocumentError for broken grammar, and for a text that would expand to much."""
    blanks = _BLANKS.match(text)
    start = blanks.end() if blanks else 0
    if text[start : start + 1] in ("{", "["):
        # Tried first because it is much faster; text that is no JSON may still be YAML.
        try:
            return [ManifestDocument(text, outline_json(text, start), json=True)]
        except (ValueError, RecursionError):  # among them json.JSONDecodeError and TextError
            pass
    try:
        return [ManifestDocument(text, outline, json=False) for outline in outline_yaml(text)]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _broken(error) from None


class _ManifestLoader(CheckedValues, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml's loader, where PyYAML has it
    """SafeLoader that accepts only text as keys, and remembers keys that are given twice.

    Not the policy's YAML reader: that one limits what a ConfigMap may cost the daemon, and refuses aliases, which manifests use.
    """


def _construct_mapping(loader: Any, node: yaml.MappingNode) -> Mapping:
    own = [key.value for key, _ in node.value]
    loader.flatten_mapping(node)  # merge keys (<<); explicit keys override them
    mapping = Mapping(loader.text_pairs(node))
    mapping.repeated = tuple(k for k in mapping.repeated if own.count(k) > 1)
    return mapping


_ManifestLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def _read_yaml(text: str, span: Span) -> Any:
    """The value of one document or element. Blanks stand before its first line where other text stood, so that it keeps its column."""
    try:
        return yaml.load(" " * span.column + text, _ManifestLoader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _broken(error, span.line) from None


def _broken(error: Exception, line: int = 0) -> DocumentError:
    """`line`: that of the file at which the text begins."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = f"line {line + mark.line + 1} column {mark.column + 1}: " if mark else ""
        return DocumentError([Mistake("", f"broken YAML, {where}{error.problem or error.context}")])
    problem = "a number of thousands of digits" if "int_max_str_digits" in str(error) else " ".join(str(error).split())
    return DocumentError([Mistake("", f"broken YAML, {problem[:200]}")])
