"""`conf.json`: which programs are called, in which order."""

from __future__ import annotations

from pathlib import Path

import msgspec

MOST_BYTES = 1 << 20


class ConfigurationError(Exception):
    """The file cannot be used; the text names it and says what was expected."""


class Program(msgspec.Struct, frozen=True):
    """One entry of the list.

    type   name of its file in the directory of the programs
    conf   handed on as it is written; empty: there is none
    """

    type: str
    conf: msgspec.Raw = msgspec.Raw()


class Configuration(msgspec.Struct, frozen=True):
    """The whole file. Go ignores unknown keys, and so do we."""

    version: str = "0.1"
    plugins: tuple[Program, ...] = ()


class _File(msgspec.Struct):
    """As Go reads it: null is no program."""

    version: str = "0.1"
    plugins: tuple[Program, ...] | None = None


_DECODER = msgspec.json.Decoder(_File)


def read(path: Path) -> Configuration:
    """The configuration; one without programs when there is no such file. Raises ConfigurationError."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Configuration()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    if len(text) > MOST_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MOST_BYTES} bytes")
    try:
        found = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(
            f'{path}: expected {{"version":"0.1","plugins":[{{"type":"NAME"}}]}}: {error}'
        ) from None
    programs = found.plugins or ()
    for program in programs:
        if not program.type or "/" in program.type or program.type in (".", ".."):
            raise ConfigurationError(
                f'{path}: plugin type "{program.type[:100]}": expected the name of a file, without a directory'
            )
    return Configuration(found.version, programs)
