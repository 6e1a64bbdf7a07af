"""Event numbers, masks and the RPCs that carry events."""

from __future__ import annotations

import pytest

from koordnri.wire import api_pb2
from koordnri.wire.errors import LocalProtocolError
from koordnri.wire.events import (
    DEDICATED_METHODS,
    DIRECT_METHODS,
    EVENT_OF_METHOD,
    METHOD_OF_EVENT,
    NRIEvent,
    events_of,
    mask,
    subscription,
)
from koordnri.wire.services import PLUGIN_METHODS, PLUGIN_SERVICE, RUNTIME_METHODS, RUNTIME_SERVICE
from koordnri.wire.versions import Version, valid_event_mask


def test_numbers_and_names_are_those_of_the_proto():
    assert {event.name: event.value for event in NRIEvent} == {
        name: number for name, number in api_pb2.Event.items() if name not in ("UNKNOWN", "LAST")
    }


@pytest.mark.parametrize(
    ("event", "bit"),
    [
        (NRIEvent.RUN_POD_SANDBOX, 0x1),
        (NRIEvent.CREATE_CONTAINER, 0x8),
        (NRIEvent.VALIDATE_CONTAINER_ADJUSTMENT, 0x2000),
    ],
)
def test_bits(event, bit):
    assert event.bit == bit
    assert events_of(bit) == (event,)


def test_all_events_are_the_newest_valid_mask():
    assert mask(NRIEvent) == valid_event_mask(Version(0, 12, 0)) == 0x3FFF
    assert events_of(0x3FFF) == tuple(NRIEvent)
    assert mask([]) == 0
    assert events_of(1 << 14) == ()


def test_nine_dedicated_and_five_direct_methods_cover_all_events_and_exist():
    assert len(DEDICATED_METHODS) == 9
    assert len(DIRECT_METHODS) == 5
    assert set(METHOD_OF_EVENT) == set(NRIEvent)
    assert all(EVENT_OF_METHOD[method] is event for event, method in METHOD_OF_EVENT.items())
    assert set(PLUGIN_METHODS) == {*EVENT_OF_METHOD, "Configure", "Synchronize", "Shutdown", "StateChange"}


@pytest.mark.parametrize("event", NRIEvent)
def test_an_events_method_bears_its_name(event):
    assert METHOD_OF_EVENT[event].upper() == event.name.replace("_", "")


@pytest.mark.parametrize("event", NRIEvent)
def test_requests_are_named_after_their_method(event):
    method = METHOD_OF_EVENT[event]
    assert PLUGIN_METHODS[method].request is getattr(api_pb2, f"{method}Request")
    assert PLUGIN_METHODS[method].response is getattr(api_pb2, f"{method}Response")


def test_services_bear_the_names_that_go_over_the_wire():
    services = api_pb2.DESCRIPTOR.services_by_name
    assert services["Plugin"].full_name == PLUGIN_SERVICE
    assert services["Runtime"].full_name == RUNTIME_SERVICE
    assert set(RUNTIME_METHODS) == {"RegisterPlugin", "UpdateContainers"}


def test_a_subscription_has_no_bit_that_the_runtime_does_not_know():
    assert subscription(NRIEvent, 0x7FF) == 0x7FF
    assert subscription([NRIEvent.CREATE_CONTAINER, NRIEvent.UPDATE_POD_SANDBOX], 0x7FF) == 0x8
    assert subscription([NRIEvent.CREATE_CONTAINER, NRIEvent.UPDATE_POD_SANDBOX], 0x1FFF) == 0x808


@pytest.mark.parametrize("events", [[], [NRIEvent.VALIDATE_CONTAINER_ADJUSTMENT]])
def test_a_subscription_is_never_zero(events):
    with pytest.raises(LocalProtocolError, match="0x1fff"):
        subscription(events, 0x1FFF)
