"""What of a kubeconfig must be known before the official client reads it."""

from __future__ import annotations

from pathlib import Path

import yaml

_PROGRAMS = ("exec", "auth-provider")


def may_start_programs(path: Path) -> bool:
    """Whether the credentials of a user in it may come from a program. Also True where that is not known: it cannot be read yet."""
    try:
        document = yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, yaml.YAMLError):  # ValueError: bytes that are no text
        return True
    users = document.get("users", []) if isinstance(document, dict) else None
    if not isinstance(users, list) or not all(isinstance(entry, dict) for entry in users):
        return True
    credentials = [entry.get("user") or {} for entry in users]
    return not all(isinstance(one, dict) and not one.keys() & set(_PROGRAMS) for one in credentials)
