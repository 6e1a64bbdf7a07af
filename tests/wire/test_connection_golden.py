"""Bytes seen on the wire between the Go runtime side (NRI 0.6.1, containerd 1.7.25) and a plugin, in both directions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from koordnri.wire import api_pb2
from koordnri.wire.connection import Connection, Reply, Request, Side

PLUGIN_HEX = b"nri.pkg.api.v1alpha1.Plugin".hex()

REGISTER = bytes.fromhex(
    "00000002 00000045 0000003b 00000001 01 00"
    "0a1c 6e72692e706b672e6170692e7631616c706861312e52756e74696d65"
    "120e 5265676973746572506c7567696e"
    "1a0b 0a05 70726f6265 1202 3035"
)
REGISTERED = bytes.fromhex("00000002 0000000a 00000000 00000001 02 00")
CONFIGURE = bytes.fromhex(
    "00000001 0000004f 00000045 00000001 01 00"
    f"0a1b {PLUGIN_HEX}"
    "1209 436f6e666967757265"
    "1a15 120a 636f6e7461696e657264 1a07 76312e372e3235"
    "20 afbcd0b907"
)
CONFIGURED = bytes.fromhex("00000001 0000000f 00000005 00000001 02 00 1203 10ff0f")
EMPTY_REPLY_3 = bytes.fromhex("00000001 0000000a 00000000 00000003 02 00")
STATE_CHANGE = bytes.fromhex(
    "00000001 00000049 0000003f 00000005 01 00"
    f"0a1b {PLUGIN_HEX}"
    "120b 53746174654368616e6765"
    "1a0d 0801 1209 0a04 706f6458 1201 78"
    "20 98f1c8b907"
)

REGISTER_MESSAGE = api_pb2.RegisterPluginRequest(plugin_name="probe", plugin_idx="05")
CONFIGURE_MESSAGE = api_pb2.ConfigureRequest(runtime_name="containerd", runtime_version="v1.7.25")
CONFIGURED_MESSAGE = api_pb2.ConfigureResponse(events=0x7FF)
STATE_CHANGE_MESSAGE = api_pb2.StateChangeEvent(
    event=api_pb2.RUN_POD_SANDBOX, pod=api_pb2.PodSandbox(id="podX", name="x")
)

CONFIGURE_REQUEST = Request(1, "Configure", CONFIGURE_MESSAGE.SerializeToString(), 1999904303, ())
STATE_CHANGE_REQUEST = Request(5, "StateChange", STATE_CHANGE_MESSAGE.SerializeToString(), 1999779992, ())
REGISTER_REQUEST = Request(1, "RegisterPlugin", REGISTER_MESSAGE.SerializeToString(), 0, ())


def feed_whole(connection: Connection, data: bytes) -> list[Request | Reply]:
    connection.receive_data(data)
    events = []
    while (event := connection.next_event()) is not None:
        events.append(event)
    return events


def feed_bytewise(connection: Connection, data: bytes) -> list[Request | Reply]:
    return [event for at in range(len(data)) for event in feed_whole(connection, data[at : at + 1])]


@pytest.fixture(params=[feed_whole, feed_bytewise])
def feed(request: pytest.FixtureRequest) -> Callable[[Connection, bytes], list[Request | Reply]]:
    return request.param


def test_plugin_reads_what_the_runtime_sent(feed):
    plugin = Connection(Side.PLUGIN)
    plugin.call("RegisterPlugin", REGISTER_MESSAGE)
    assert feed(plugin, REGISTERED + CONFIGURE + STATE_CHANGE) == [
        Reply(1, 0, "", b""),
        CONFIGURE_REQUEST,
        STATE_CHANGE_REQUEST,
    ]
    assert plugin.pop_outgoing() == b""


def test_runtime_reads_what_the_plugin_sent(feed):
    runtime = Connection(Side.RUNTIME)
    runtime.call("Configure", CONFIGURE_MESSAGE)
    runtime.call("Synchronize", api_pb2.SynchronizeRequest())
    assert feed(runtime, REGISTER + CONFIGURED + EMPTY_REPLY_3) == [
        REGISTER_REQUEST,
        Reply(1, 0, "", CONFIGURED_MESSAGE.SerializeToString()),
        Reply(3, 0, "", b""),
    ]
    assert runtime.pop_outgoing() == b""


def test_plugin_writes_the_same_bytes():
    plugin = Connection(Side.PLUGIN)
    assert plugin.call("RegisterPlugin", REGISTER_MESSAGE) == (1, REGISTER)
    assert plugin.reply(CONFIGURE_REQUEST, CONFIGURED_MESSAGE) == CONFIGURED
    third = CONFIGURE_REQUEST._replace(stream=3)
    for nothing in (None, b"", api_pb2.SynchronizeResponse()):
        assert plugin.reply(third, nothing) == EMPTY_REPLY_3


def test_runtime_writes_the_same_bytes():
    runtime = Connection(Side.RUNTIME)
    assert runtime.reply(REGISTER_REQUEST, api_pb2.Empty()) == REGISTERED
    assert runtime.call("Configure", CONFIGURE_MESSAGE, 1999904303) == (1, CONFIGURE)
    runtime.call("Synchronize", api_pb2.SynchronizeRequest())
    assert runtime.call("StateChange", STATE_CHANGE_MESSAGE, 1999779992) == (5, STATE_CHANGE)
