"""Several taps in one thread."""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Iterator, Sequence

from koordnri.cli.tap.tap import Seen, Tap


def seen_by(taps: Sequence[Tap]) -> Iterator[Seen]:
    """What the taps see, in the order in which it happens: a runtime asks its plugins one after the other, in the order of their indices.

    Ends with TapEnded when a connection does. Closes all taps.
    """
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for tap in taps:
            stack.enter_context(contextlib.closing(tap))
            selector.register(tap, selectors.EVENT_READ, tap)
        while True:
            for key, _ in selector.select():
                yield from key.data.receive()
