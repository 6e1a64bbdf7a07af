"""The answer to a request of the runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from google.protobuf.message import Message

from koordnri.model.decision import NEW


class Answer(NamedTuple):
    """The reply, and the work that is left until after it is sent."""

    message: Message | None
    settle: Callable[[], None] | None = None
    event: str = ""
    """name of the event, if it arrived as a StateChange"""


NOTHING_TO_SAY = Answer(None)


def answer_with(message: Message | None, settle: Callable[[], None]) -> Answer:
    """`Answer(message, settle)`, without its slow constructor: for the event path."""
    return NEW(Answer, (message, settle, ""))
