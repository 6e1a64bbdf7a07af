"""NRI's events: their numbers, their bits in the subscription mask, and the RPC that carries each."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from koordnri.wire.errors import LocalProtocolError


class NRIEvent(IntEnum):
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


DIRECT_METHODS: Final[dict[NRIEvent, str]] = {
    NRIEvent.CREATE_CONTAINER: "CreateContainer",
    NRIEvent.UPDATE_CONTAINER: "UpdateContainer",
    NRIEvent.STOP_CONTAINER: "StopContainer",
    NRIEvent.UPDATE_POD_SANDBOX: "UpdatePodSandbox",
    NRIEvent.VALIDATE_CONTAINER_ADJUSTMENT: "ValidateContainerAdjustment",
}
"""Events that have their own RPC on every runtime that knows them. An error answer to one fails the CRI call."""

DEDICATED_METHODS: Final[dict[NRIEvent, str]] = {
    NRIEvent.RUN_POD_SANDBOX: "RunPodSandbox",
    NRIEvent.STOP_POD_SANDBOX: "StopPodSandbox",
    NRIEvent.REMOVE_POD_SANDBOX: "RemovePodSandbox",
    NRIEvent.POST_CREATE_CONTAINER: "PostCreateContainer",
    NRIEvent.START_CONTAINER: "StartContainer",
    NRIEvent.POST_START_CONTAINER: "PostStartContainer",
    NRIEvent.POST_UPDATE_CONTAINER: "PostUpdateContainer",
    NRIEvent.REMOVE_CONTAINER: "RemoveContainer",
    NRIEvent.POST_UPDATE_POD_SANDBOX: "PostUpdatePodSandbox",
}
"""Events that have their own RPC from NRI 0.12 on; older runtimes send them by StateChange. If a plugin answers Unimplemented to one
of them, the runtime returns to StateChange for all nine."""

METHOD_OF_EVENT: Final[dict[NRIEvent, str]] = {**DIRECT_METHODS, **DEDICATED_METHODS}
EVENT_OF_METHOD: Final[dict[str, NRIEvent]] = {method: event for event, method in METHOD_OF_EVENT.items()}
LOOKED_AT: Final = tuple(event for event in NRIEvent if event is not NRIEvent.VALIDATE_CONTAINER_ADJUSTMENT)
"""The events of a plugin that only looks. A runtime asks about validation while a creation waits, and whoever only looks has no say in
it."""


def mask(events: Iterable[NRIEvent]) -> int:
    """The bits of `events`; 0 for none."""
    bits = 0
    for event in events:
        bits |= event.bit
    return bits


def events_of(bits: int) -> tuple[NRIEvent, ...]:
    """The events of a mask, in the order of their numbers; bits that no event has are left out."""
    return tuple(event for event in NRIEvent if bits & event.bit)


def subscription(events: Iterable[NRIEvent], valid: int) -> int:
    """The mask to answer Configure with: the wanted events that this runtime knows (`versions.valid_event_mask`).

    Raises LocalProtocolError when none remains: the runtime reads 0 as ALL events, validation included. It closes the connection
    without an error when the mask has a bit that it does not know.
    """
    wanted = mask(events)
    if not wanted & valid:
        names = ", ".join(event.name for event in events_of(wanted)) or "none"
        raise LocalProtocolError(
            f"subscription to {names}: the runtime knows none of them (valid mask {valid:#x}), expected at least one"
        )
    return wanted & valid
