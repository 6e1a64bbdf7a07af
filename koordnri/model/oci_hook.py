"""A hook of the OCI runtime from a hooks.d directory, and when it is for a container: oci-hooks(5), schemas 1.0.0 and 0.1.0."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

STAGES: Mapping[str, str] = {
    "prestart": "create_runtime",  # the OCI specification has replaced it, and the sample plugin sends it so
    "createRuntime": "create_runtime",
    "createContainer": "create_container",
    "startContainer": "start_container",
    "poststart": "poststart",
    "poststop": "poststop",
}
"""stage in the file → list of NRI's Hooks"""
LONGEST_TEXT = 512
"""Most characters of an annotation that patterns are tried on: whoever writes the pod must not make a pattern slow. The time grows with the
square: for `.*x$` and all that is kept of a pod's annotations (koordnri.model.bounds) it is 0.3 s, and with 4096 it would be 2 s."""
LONGEST_COMMAND = 4096
"""Most characters of a command, likewise. The kernel runs none with a longer path."""
Annotations = Mapping[str, str]
_QUANTIFIERS = "*+?{"
_SPECIAL = frozenset(_QUANTIFIERS + "\\.^$}[]()|")


def literal_of(pattern: str) -> str:
    """A text that stands in everything that this regular expression finds: its beginning. "" where that is not plain to see."""
    if "(?#" in pattern or _has_alternatives(re.sub(r"\\.", "", pattern, flags=re.DOTALL)):
        return ""
    found, at = "", int(pattern.startswith("^"))
    while at < len(pattern):
        char, following = pattern[at], pattern[at + 1 : at + 2]
        if char == "\\" and following and not following.isalnum():
            char, at = following, at + 1
        elif char in _SPECIAL:
            # A quantifier is about the last character alone, which need not be there.
            return found[:-1] if char in _QUANTIFIERS else found
        found, at = found + char, at + 1
    return found


def key_of(pattern: str) -> str:
    """The only text without a line's end that this regular expression finds; "" where that is not plain to see, or it finds others."""
    if not (pattern.startswith("^") and pattern.endswith("$")):
        return ""
    text = literal_of(pattern)
    # What stands between ^ and $ is nothing but that text, where every escape is of a character that is none.
    return text if re.sub(r"\\(\W)", r"\1", pattern[1:-1]) == text else ""


def _has_alternatives(pattern: str) -> bool:
    """Whether the expression as a whole has `|`. `pattern` has no escapes. With a set of characters, any `|` counts."""
    depth = 0
    for char in pattern:
        depth += (char == "(") - (char == ")")
        if char == "|" and (depth == 0 or "[" in pattern):
            return True
    return False


class When(NamedTuple):
    """Conditions. None and empty: not written. All that are written must hold, or with `any_of` (schema 0.1.0) one."""

    always: bool | None = None
    has_bind_mounts: bool | None = None
    annotations: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = ()
    """(key, value) patterns; each must find an annotation"""
    keyed: tuple[tuple[str, re.Pattern[str]], ...] = ()
    """(key, value pattern) of further annotations: those whose key pattern finds only one text (`key_of`)"""
    commands: tuple[re.Pattern[str], ...] = ()
    """one must match the command; always a condition that is necessary where no other one suffices"""
    any_of: bool = False
    literals: tuple[str, ...] = ()
    """each stands in the key of an annotation that is necessary (`literal_of`): a container whose keys lack one need not be looked at"""

    def matches(
        self, command: str, pod: Annotations, container: Annotations, mounts: Callable[[], Sequence[object]]
    ) -> bool:
        """Whether they hold for a container: the pod's annotations count before its own. `mounts` returns what is mounted into it. What
        costs most is looked at last.
        """
        named = not self.commands
        for pattern in self.commands:
            if pattern.search(command[:LONGEST_COMMAND]) is not None:
                named = True
                break
        if self.any_of:
            return bool(
                self.always
                or (named and self.commands)
                or self._finds(any, pod, container)
                or (self.has_bind_mounts and mounts())
            )
        if not named:
            return False
        return (
            self.always is not False
            and self.has_bind_mounts is not False
            and bool(self.always or self.has_bind_mounts or self.commands or self.annotations or self.keyed)
            and (not self.keyed or self._has(pod, container))
            and (not self.annotations or self._finds(all, pod, container))
            and (not self.has_bind_mounts or bool(mounts()))
        )

    def _has(self, pod: Annotations, container: Annotations) -> bool:
        """Whether all of `keyed` hold."""
        for key, pattern in self.keyed:
            text = pod.get(key)
            if text is None:
                text = container.get(key)
            if text is None or pattern.search(text[:LONGEST_TEXT]) is None:
                return False
        return True

    def _finds(self, which: Callable[[Iterable[bool]], bool], pod: Annotations, container: Annotations) -> bool:
        """Whether `which` (any or all) of the patterns in `annotations` find one."""
        merged = {**container, **pod}
        return which(_finds(pair, merged) for pair in self.annotations)


def _finds(pair: tuple[re.Pattern[str], re.Pattern[str]], annotations: Annotations) -> bool:
    key, value = pair
    return any(
        key.search(name) is not None and value.search(text[:LONGEST_TEXT]) is not None
        for name, text in annotations.items()
    )


class OCIHook(NamedTuple):
    """One file of a hooks.d directory."""

    name: str
    """of the file"""
    path: str
    """of the program, on the host"""
    args: tuple[str, ...]
    """with the program's name; empty: not written"""
    env: tuple[str, ...]
    timeout_s: int | None
    stages: tuple[str, ...]
    when: When
