"""Any text of a policy: a document that resolves, or a PolicyError with mistakes in short, printable lines."""

from __future__ import annotations

from koordnri.policy import PolicyError, load_policy, resolve


def check(data: bytes) -> None:
    """The text of a policy file."""
    try:
        document = load_policy(data, "fuzz")
    except PolicyError as error:
        assert error.mistakes
        lines = str(error).split("\n")
    else:
        policy = resolve(document, "node", {"a": "b"})
        lines = [*map(str, document.warnings), *map(str, document.remarks), *policy.notes]
    for line in lines:
        assert line.isprintable(), line
        assert len(line) < 1000, line
