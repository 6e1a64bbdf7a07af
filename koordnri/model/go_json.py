"""Reads JSON into structs as Go's encoding/json does, for texts that Koordinator's programs read, too: null counts as absent, keys match
whatever their letter case, the last one wins, unknown ones are ignored.

    read = go_decoder(ResourceStatus)
    read('{"CPUSet": "0-1", "numaNodeResources": null}')  → ResourceStatus(cpuset="0-1")

The structs have `forbid_unknown_fields`. So msgspec alone reads ordinary texts in 1 µs; what it refuses is normalised here and read again.
Deviation: null in a list is left out, where Go has a zero value.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")

_Path = tuple[Any, ...]
"""(path of the parent, key or index), () at the top: made into words only when somebody asks, as texts are read on the event path."""
_Plain = Callable[[Any, _Path, list[_Path]], Any]
"""(value, its path, list that collects paths of unknown keys) → the value as msgspec can read it"""


def go_decoder(type_: type[T]) -> Callable[[str], T]:
    """A function of the JSON text. It raises what msgspec does: DecodeError, ValidationError, ValueError or RecursionError."""
    usual, anything = msgspec.json.Decoder(type_), msgspec.json.Decoder()
    plain = _reader(type_)  # type: ignore[arg-type]  # types are hashable; mypy's T is not sure

    def read(text: str) -> T:
        try:
            return usual.decode(text)
        except msgspec.ValidationError:
            return msgspec.convert(plain(anything.decode(text), (), []), type_)

    return read


def unknown_keys(type_: Any, text: str) -> list[str]:
    """Paths of the keys that `go_decoder` ignores; none for a text that cannot be parsed."""
    found: list[_Path] = []
    try:
        _reader(type_)(msgspec.json.decode(text), (), found)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []
    return [_words(path) for path in found]


def _words(path: _Path) -> str:
    steps: list[str] = []
    while path:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


@functools.cache
def _reader(type_: Any) -> _Plain:
    """Normalises a value of the type. A value of another shape is not changed, so that msgspec refuses it."""
    inner = _without_none(type_)
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        return _struct_reader(inner)
    origin, arguments = get_origin(inner), get_args(inner)
    if origin in (list, tuple):
        return _list_reader(arguments[0])
    if origin is dict:
        return _map_reader(arguments[1])
    return _as_it_is


def _as_it_is(value: Any, path: _Path, unknown: list[_Path]) -> Any:
    return value


def _without_none(type_: Any) -> Any:
    """`T` of `Annotated[T, …]` and of `T | None`."""
    while True:
        origin, arguments = get_origin(type_), get_args(type_)
        if origin is Annotated:
            type_ = arguments[0]
        elif origin in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
            type_ = next(one for one in arguments if one is not type(None))
        else:
            return type_


def _struct_reader(type_: type[msgspec.Struct]) -> _Plain:
    # Computed when first needed, so that a type may contain itself.
    exact = {info.encode_name: info for info in msgspec.structs.fields(type_)}
    folded = {name.lower(): info for name, info in exact.items()}

    def read(value: Any, path: _Path, unknown: list[_Path]) -> Any:
        if value is None:
            return {}
        if not isinstance(value, dict):
            return value
        plain: dict[str, Any] = {}
        for key, item in value.items():
            info = exact.get(key) or folded.get(key.lower())
            if info is None:
                unknown.append((path, key))
            elif item is not None:
                name = info.encode_name
                new, old = _reader(info.type)(item, (path, name), unknown), plain.get(name)
                plain[name] = {**old, **new} if isinstance(new, dict) and isinstance(old, dict) else new
        return plain

    return read


def _list_reader(of: Any) -> _Plain:
    def read(value: Any, path: _Path, unknown: list[_Path]) -> Any:
        if not isinstance(value, list):
            return value
        plain = _reader(of)
        return [plain(item, (path, i), unknown) for i, item in enumerate(value) if item is not None]

    return read


def _map_reader(of: Any) -> _Plain:
    inner = _without_none(of)
    of_structs = isinstance(inner, type) and issubclass(inner, msgspec.Struct)

    def items(value: dict[str, Any], path: _Path, unknown: list[_Path]) -> Iterator[tuple[str, Any]]:
        plain = _reader(of)
        for key, item in value.items():
            if item is not None or of_structs:
                yield key, plain(item, (path, key), unknown)

    def read(value: Any, path: _Path, unknown: list[_Path]) -> Any:
        if value is None:
            return {}
        return dict(items(value, path, unknown)) if isinstance(value, dict) else value

    return read
