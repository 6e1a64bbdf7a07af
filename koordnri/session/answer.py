"""What a request of the runtime comes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from google.protobuf.message import Message


class Answer(NamedTuple):
    """The reply, and what is left to do once it is sent."""

    message: Message | None
    settle: Callable[[], None] | None = None
    event: str = ""
    """the method that the request stands for, when it came as a StateChange"""


NOTHING_TO_SAY = Answer(None)
