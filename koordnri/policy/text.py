"""Parses JSON and YAML into plain values: bounded, and with line and column of errors.

YAML is restricted to what configuration needs: no aliases (they can expand exponentially), no Python tags, bounded depth, keys that are
text. Repeated keys are kept in `Mapping.repeated`, so that the reader can name them by path.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

MAX_CHARACTERS = 1 << 20
"""A Kubernetes object has at most 1 MiB, so no genuine policy is longer."""

MAX_DEPTH = 64
"""Deepest nesting; Koordinator's deepest path has ten levels."""

MAX_YAML_NODES = 20_000
"""Most values in one document, all its texts together. YAML is parsed in Python at about 0.1 ms per value, and a policy must not take
seconds. JSON has no such limit."""

_LONGEST_PROBLEM = 200
"""Messages are cut here: the parser quotes what it read, which may be a megabyte."""


class TextError(ValueError):
    """Text that is neither JSON nor YAML. The message has line and column if known.

    position: characters understood before the error.
    """

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class Allowance:
    """How many more YAML values may be read, and how many more characters."""

    __slots__ = ("characters", "left")

    def __init__(self) -> None:
        self.left = MAX_YAML_NODES
        self.characters = MAX_CHARACTERS


class Mapping(dict[str, Any]):
    """A mapping as read, with its repeated keys (the last value is kept)."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: tuple[str, ...] = ()
        if len(self) != len(pairs):
            seen: set[str] = set()
            self.repeated = tuple(dict.fromkeys(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]  # set.add is called for its effect


def decoded(content: bytes) -> str:
    """The text of a file, without its byte order mark. Raises TextError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextError(f"expected UTF-8 text, byte {error.start} is 0x{content[error.start]:02x}") from None


def parse(text: str, allowance: Allowance | None = None) -> Any:
    """The value of a JSON or YAML text; None for an empty one. Texts with the same allowance share it. Raises TextError."""
    allowance = allowance or Allowance()
    allowance.characters -= len(text)
    if allowance.characters < 0:
        got = MAX_CHARACTERS - allowance.characters
        raise TextError(f"expected at most {MAX_CHARACTERS} characters in all keys together, got {got}")
    start = text.lstrip()[:1]
    if not start:
        return None
    if start in '{["':
        # JSON first: Koordinator writes it, it is a hundred times faster, and YAML refuses JSON that is indented by tabs.
        try:
            return parse_json(text)
        except json.JSONDecodeError as json_error:
            try:
                return _parse_yaml(text, allowance)
            except TextError as yaml_error:
                # Report the error of the grammar that got further: it was most likely meant.
                if yaml_error.position > json_error.pos:
                    raise
                raise TextError(_describe(json_error)) from None
    return _parse_yaml(text, allowance)


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises json.JSONDecodeError for bad grammar, TextError for other errors."""
    try:
        value = json.loads(text, object_pairs_hook=Mapping, parse_constant=refuse_constant)
    except RecursionError:
        raise TextError(f"nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # an integer with thousands of digits
        raise TextError(f"broken JSON, {_impossible(error)}") from None
    check_depth(value)
    return value


def describe_broken_json(text: str) -> str:
    """Where and why this JSON text is broken; "" when it is not."""
    try:
        parse_json(text)
    except json.JSONDecodeError as error:
        return _describe(error)
    except TextError as error:
        return str(error)
    return ""


def _describe(error: json.JSONDecodeError) -> str:
    reason = error.msg[:1].lower() + error.msg[1:]
    return f"broken JSON, line {error.lineno} column {error.colno}: {reason}"


def refuse_constant(name: str) -> None:
    """For a JSON decoder: NaN and the infinities are not JSON. Raises TextError."""
    raise TextError(f"{name} is not a number that JSON knows")


def check_depth(value: Any) -> None:
    """Raises TextError for a value that is nested deeper than MAX_DEPTH."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return
    raise TextError(f"nested deeper than {MAX_DEPTH} levels")


class CheckedValues:
    """For a SafeLoader: keys are text, and a value that does not fit its tag (`!!bool x`, a month 13) becomes an error with a position.
    PyYAML's own constructors raise arbitrary exceptions.
    """

    def text_pairs(self, node: yaml.MappingNode) -> list[tuple[str, Any]]:
        """Keys and values of a mapping. Raises MarkedYAMLError for a key that is not text."""
        pairs = []
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"expected a key that is text, got {key!s:.60} (put it in quotes)",
                    problem_mark=key_node.start_mark,
                )
            pairs.append((key, self.construct_object(value_node, deep=True)))
        return pairs

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)  # type: ignore[misc]  # of the loader beside which it stands
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as error:  # noqa: BLE001  # KeyError, IndexError, AttributeError, ValueError…
            raise yaml.MarkedYAMLError(problem=_unfit(node, error), problem_mark=node.start_mark) from None


def _unfit(node: yaml.Node, error: Exception) -> str:
    if "int_max_str_digits" in str(error):
        return "a number of thousands of digits"
    name = str(node.tag).rpartition(":")[2]
    return f'expected a value of YAML\'s type {_short(name)}, got "{_short(str(node.value)[:60])}" (put text in quotes)'


class _PolicyLoader(CheckedValues, yaml.SafeLoader):
    """SafeLoader without aliases, with bounded depth and text keys only. The C loader recurses without a limit."""

    depth = 0
    allowance: Allowance

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refused("aliases (*name) are not accepted")
        self.depth += 1
        self.allowance.left -= 1
        if self.allowance.left < 0:
            raise self._refused(f"more than {MAX_YAML_NODES} values in all; write it as JSON")
        if self.depth > MAX_DEPTH:
            raise self._refused(f"nested deeper than {MAX_DEPTH} levels")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _refused(self, problem: str) -> yaml.MarkedYAMLError:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _construct_mapping(loader: _PolicyLoader, node: yaml.MappingNode) -> Mapping:
    return Mapping(loader.text_pairs(node))


_PolicyLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def _parse_yaml(text: str, allowance: Allowance) -> Any:
    try:
        loader = _PolicyLoader(text)
        loader.allowance = allowance
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1} column {mark.column + 1}: " if mark else ""
        problem = _short(error.problem or error.context or "")
        raise TextError(f"broken YAML, {where}{problem}", mark.index if mark else 0) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        raise TextError(
            f"broken YAML, line {line} column {column}: character #x{ord(text[error.position]):04x} is not allowed"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # Values that are grammatical but impossible: a date in month 13, a number with thousands of digits.
        raise TextError(f"broken YAML, {_impossible(error)}") from None


def _impossible(error: Exception) -> str:
    """The error's text. Python's own for long numbers explains how to configure Python, so it is replaced."""
    return "a number of thousands of digits" if "int_max_str_digits" in str(error) else _short(str(error))


def _short(problem: str) -> str:
    """The text on one line, cut to a limit."""
    words = "".join(character if character.isprintable() else " " for character in problem[:_LONGEST_PROBLEM]).split()
    return " ".join(words) + ("…" if len(problem) > _LONGEST_PROBLEM else "")
