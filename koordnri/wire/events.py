"""The events of NRI: their numbers, their bits in the subscription mask, and the RPCs that carry them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from koordnri.wire.errors import LocalProtocolError


class Event(IntEnum):
    """Event numbers, as in StateChangeEvent.event. Names are NRI's."""

    RUN_POD_SANDBOX = 1
    STOP_POD_SANDBOX = 2
    REMOVE_POD_SANDBOX = 3
    CREATE_CONTAINER = 4
    POST_CREATE_CONTAINER = 5
    START_CONTAINER = 6
    POST_START_CONTAINER = 7
    UPDATE_CONTAINER = 8
    POST_UPDATE_CONTAINER = 9
    STOP_CONTAINER = 10
    REMOVE_CONTAINER = 11
    UPDATE_POD_SANDBOX = 12
    POST_UPDATE_POD_SANDBOX = 13
    VALIDATE_CONTAINER_ADJUSTMENT = 14

    @property
    def bit(self) -> int:
        """This event's bit in the mask of ConfigureResponse."""
        return 1 << (self - 1)


DIRECT_METHODS: Final[dict[Event, str]] = {
    Event.CREATE_CONTAINER: "CreateContainer",
    Event.UPDATE_CONTAINER: "UpdateContainer",
    Event.STOP_CONTAINER: "StopContainer",
    Event.UPDATE_POD_SANDBOX: "UpdatePodSandbox",
    Event.VALIDATE_CONTAINER_ADJUSTMENT: "ValidateContainerAdjustment",
}
"""Events with an RPC of their own on every runtime that has them; an error answer to one fails the CRI call."""

DEDICATED_METHODS: Final[dict[Event, str]] = {
    Event.RUN_POD_SANDBOX: "RunPodSandbox",
    Event.STOP_POD_SANDBOX: "StopPodSandbox",
    Event.REMOVE_POD_SANDBOX: "RemovePodSandbox",
    Event.POST_CREATE_CONTAINER: "PostCreateContainer",
    Event.START_CONTAINER: "StartContainer",
    Event.POST_START_CONTAINER: "PostStartContainer",
    Event.POST_UPDATE_CONTAINER: "PostUpdateContainer",
    Event.REMOVE_CONTAINER: "RemoveContainer",
    Event.POST_UPDATE_POD_SANDBOX: "PostUpdatePodSandbox",
}
"""Events that come by their own RPC from NRI 0.12 on and by StateChange before. If a plugin answers Unimplemented to one
of them, the runtime goes back to StateChange for all nine."""

METHOD_OF_EVENT: Final[dict[Event, str]] = {**DIRECT_METHODS, **DEDICATED_METHODS}
EVENT_OF_METHOD: Final[dict[str, Event]] = {method: event for event, method in METHOD_OF_EVENT.items()}


def mask(events: Iterable[Event]) -> int:
    """The bits of `events`; 0 for none."""
    bits = 0
    for event in events:
        bits |= event.bit
    return bits


def events_of(bits: int) -> tuple[Event, ...]:
    """The events of a mask, in the order of their numbers; bits that no event has are left out."""
    return tuple(event for event in Event if bits & event.bit)


def subscription(events: Iterable[Event], valid: int) -> int:
    """The mask to answer Configure with: the wanted events that this runtime knows (`versions.valid_event_mask`).

    Raises LocalProtocolError when nothing remains: the runtime takes 0 for ALL events, validation included, and a bit
    it does not know makes it close the connection without a word.
    """
    wanted = mask(events)
    if not wanted & valid:
        names = ", ".join(event.name for event in events_of(wanted)) or "none"
        raise LocalProtocolError(
            f"subscription to {names}: the runtime knows none of them (valid mask {valid:#x}), expected at least one"
        )
    return wanted & valid
