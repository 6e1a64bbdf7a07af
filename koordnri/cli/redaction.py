"""What must not leave the node in a report: values of environment variables, foreign annotations, and what looks like a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LEFT_OUT = "(left out)"
_OURS = ("koordinator.sh", "koordnri.sh")
"""Domains of the annotations that decide; their values are needed to repeat a decision."""
_ENV = re.compile(r"env\[|env(BesideCDI)?$")
"""Fields of the environment are named `env[NAME]`; a policy has variables under `env` and `envBesideCDI`."""
_VALUES = frozenset(
    {"value", "asked", "kernel", "outer", "effective", "now", "old", "new", "before", "after", "from", "to"}
)
"""Keys of a field's values, in every answer of the daemon"""
_ENV_IN_TEXT = re.compile(r"env\[[^\]\n]*\].*")
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),  # a token of Kubernetes or OpenID
    re.compile(r"(?i)(?<=bearer )[\w.~+/=-]{8,}"),
    re.compile(
        r"""(?i)(?<=[a-z_-])?(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)\\?["']?\s*[=:]\s*\\?["']?[^\s"',;\\]+"""
    ),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),  # user:password@ in an address
)


def redacted(value: Any) -> Any:
    """The same JSON without them. Keys stay, so that it is seen what was there."""
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, list):
        return [redacted(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    of_env = _names_env(value.get("field")) or _names_env(value.get("name"))
    return {key: _redacted_at(key, one, of_env) for key, one in value.items()}


def redacted_text(text: str) -> str:
    """The same text without what looks like a secret, and without what follows the name of an environment variable's field."""
    text = _ENV_IN_TEXT.sub(lambda found: f"{found[0].partition(']')[0]}] {LEFT_OUT}", text)
    for pattern in _SECRETS:
        text = pattern.sub(LEFT_OUT, text)
    return text


def redacted_log(text: str) -> str:
    """The same for lines of a log. A JSON object in a line (after the runtime's time stamp) is redacted as JSON."""
    return "".join(_redacted_line(line) for line in text.splitlines(keepends=True))


def _redacted_line(line: str) -> str:
    before, brace, rest = line.partition("{")
    try:
        return f"{before}{json.dumps(redacted(json.loads(brace + rest)))}\n"
    except (ValueError, RecursionError):
        return redacted_text(line)


def _redacted_at(key: str, value: Any, of_env: bool) -> Any:
    if key == "annotations" and isinstance(value, Mapping):
        return {name: redacted(one) if _is_ours(name) else LEFT_OUT for name, one in value.items()}
    if _names_env(key):
        return _without_values(value)
    if of_env and key in _VALUES:
        return None if value is None else LEFT_OUT
    return redacted(value)


def _without_values(value: Any) -> Any:
    """Of the value at a field of the environment: hook, reason and route stay."""
    if not isinstance(value, Mapping):
        return None if value is None else LEFT_OUT
    return {
        key: (None if one is None else LEFT_OUT) if key in _VALUES or _is_variable(key) else redacted(one)
        for key, one in value.items()
    }


def _is_variable(key: str) -> bool:
    """`{"env": {"NAME": "value"}}`: variables are upper case by custom; lower-case keys are those of a field."""
    return key != key.lower()


def _names_env(name: object) -> bool:
    return isinstance(name, str) and _ENV.match(name) is not None


def _is_ours(name: str) -> bool:
    domain = name.partition("/")[0]
    return any(domain == ours or domain.endswith(f".{ours}") for ours in _OURS)
