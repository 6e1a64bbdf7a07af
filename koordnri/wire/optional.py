"""The marker of NRI's messages for what is to be removed: a leading '-'."""

from __future__ import annotations

from typing import Final

REMOVAL_PREFIX: Final = "-"


def removal(key: str) -> str:
    """The key that removes `key`: an annotation, variable, mount destination, device path, namespace type or sysctl."""
    return REMOVAL_PREFIX + key


def split_removal(key: str) -> tuple[str, bool]:
    """The key without its mark, and whether it was marked for removal. A lone '-' removes the key "", as in the runtimes."""
    if key.startswith(REMOVAL_PREFIX):
        return key[1:], True
    return key, False
