"""Any text as a description of a node or of pods: what it describes, or a DocumentError with mistakes in short, printable lines.

The first byte says which of the two it is.
"""

from __future__ import annotations

from koordnri.cli.node_file import load_node
from koordnri.cli.pods_file import load_pods
from koordnri.policy import DocumentError


def check(data: bytes) -> None:
    """The text of a node file or a pods file."""
    text = data[1:].decode(errors="replace")
    try:
        (load_node if data[:1] < b"p" else load_pods)(text)
    except DocumentError as error:
        assert error.mistakes
        for line in map(str, error.mistakes):
            assert len(line) < 2000, line
