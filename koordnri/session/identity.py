"""Our name for the runtime, and how we reach it: by its socket, or on a connection that it made when it launched us."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9._+-]{1,63}")
_INDEX = re.compile(r"[0-9]{2}")


class IdentityError(ValueError):
    """A name, index or environment that no runtime would accept. The message says which, and what is expected."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Name and two-digit index of the plugin. `fd`: socket of a runtime-launched plugin, None when we connect ourselves."""

    name: str
    index: str
    fd: int | None = None

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise IdentityError(f'plugin name: expected 1..63 of A-Z a-z 0-9 . _ + -, got "{self.name}"')
        if _INDEX.fullmatch(self.index) is None:
            raise IdentityError(f'plugin index: expected two digits such as 10, got "{self.index}"')


def launched_by_runtime(environ: Mapping[str, str]) -> Identity | None:
    """Our identity if the runtime launched us (NRI_PLUGIN_NAME, _IDX, _SOCKET in the environment), else None.

    Raises IdentityError when the environment is incomplete: somebody else set it, and guessing would hide that.
    """
    text = environ.get("NRI_PLUGIN_SOCKET")
    if text is None:
        return None
    if not text.isdecimal():
        raise IdentityError(f'NRI_PLUGIN_SOCKET: expected the number of a file descriptor, got "{text}"')
    missing = [k for k in ("NRI_PLUGIN_NAME", "NRI_PLUGIN_IDX") if not environ.get(k)]
    if missing:
        raise IdentityError(f"{' and '.join(missing)}: expected beside NRI_PLUGIN_SOCKET, as a runtime sets them")
    return Identity(environ["NRI_PLUGIN_NAME"], environ["NRI_PLUGIN_IDX"], int(text))
