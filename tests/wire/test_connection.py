"""Both machines on one channel, against each other and against what a peer may do."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koordnri.wire import api_pb2, mux, ttrpc_pb2
from koordnri.wire.connection import Connection, Reply, Request, Side
from koordnri.wire.errors import Code, LocalProtocolError, MessageTooLarge, RemoteProtocolError
from tests.wire.gopeer import payloads, ttrpc_frame_on

MIB = 1024 * 1024
PLUGIN = "nri.pkg.api.v1alpha1.Plugin"


def drain(connection):
    events = []
    while (event := connection.next_event()) is not None:
        events.append(event)
    return events


def feed(connection, data, cuts=()):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    events = []
    for a, b in pairwise(edges):
        if a < b:
            connection.receive_data(data[a:b])
            events += drain(connection)
    return events


def raw(conn, stream, kind, data, flags=0):
    body = pack(">IIBB", len(data), stream, kind, flags) + data
    return pack(">II", conn, len(body)) + body


def configure(stream, **fields):
    request = ttrpc_pb2.Request(**{"service": PLUGIN, "method": "Configure", **fields})
    return raw(1, stream, 1, request.SerializeToString())


@pytest.mark.parametrize("size", [0, 1, 4000, 4086, 4087, 5400, 8192, MIB, 4 * MIB - 100])
def test_a_call_and_its_answer_cross_the_channel(size):
    plugin, runtime = Connection(Side.PLUGIN), Connection(Side.RUNTIME)
    message = api_pb2.ConfigureRequest(config="x" * size)
    stream, data = runtime.call("Configure", message, 2_000_000_000)
    (request,) = feed(plugin, data, cuts=[3, 4104, 5000])
    assert request == Request(1, "Configure", message.SerializeToString(), 2_000_000_000, ())
    answer = api_pb2.RegisterPluginRequest(plugin_name="y" * size)
    assert feed(runtime, plugin.reply(request, answer)) == [Reply(stream, 0, "", answer.SerializeToString())]


def test_an_error_answer_crosses_the_channel():
    plugin, runtime = Connection(Side.PLUGIN), Connection(Side.RUNTIME)
    stream, data = plugin.call("RegisterPlugin", api_pb2.RegisterPluginRequest(plugin_idx="5"))
    (request,) = feed(runtime, data)
    refusal = runtime.reply_error(request, Code.UNKNOWN, 'invalid plugin index "5"')
    assert feed(plugin, refusal) == [Reply(stream, 2, 'invalid plugin index "5"', b"")]


def test_each_direction_counts_its_own_streams():
    plugin, runtime = Connection(Side.PLUGIN), Connection(Side.RUNTIME)
    assert [plugin.call("UpdateContainers", api_pb2.UpdateContainersRequest())[0] for _ in range(3)] == [1, 3, 5]
    assert runtime.call("Synchronize", api_pb2.SynchronizeRequest())[0] == 1


@given(
    sizes=st.lists(st.sampled_from([0, 1, 4000, 4086, 4087, 8192]) | st.integers(0, 9000), min_size=1, max_size=4),
    chunk_sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=6),
    turns=st.lists(st.booleans(), min_size=1, max_size=8),
    noise=st.booleans(),
    cuts=st.lists(st.integers(0, 60000), max_size=15),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_two_connections_interleaved_at_any_byte(sizes, chunk_sizes, turns, noise, cuts):
    """A peer may cut both byte streams anywhere, mix the pieces, and put frames of other connections between."""
    plugin, runtime = Connection(Side.PLUGIN), Connection(Side.RUNTIME)
    expected_calls, expected_replies = [], []
    streams = {1: b"", 2: b""}
    for size in sizes:
        message = api_pb2.ConfigureRequest(config="c" * size)
        stream, call = runtime.call("Configure", message, size)
        streams[1] += b"".join(payload for _, payload in payloads(call))
        expected_calls.append(Request(stream, "Configure", message.SerializeToString(), size, ()))

        own, call = plugin.call("UpdateContainers", api_pb2.UpdateContainersRequest())
        (request,) = feed(runtime, call)
        streams[2] += b"".join(payload for _, payload in payloads(runtime.reply(request, b"r" * size)))
        expected_replies.append(Reply(own, 0, "", b"r" * size))
    channel, at = bytearray(), {1: 0, 2: 0}
    step = 0
    while any(at[conn] < len(streams[conn]) for conn in streams):
        conn = 1 if turns[step % len(turns)] else 2
        conn = conn if at[conn] < len(streams[conn]) else 3 - conn
        size = chunk_sizes[step % len(chunk_sizes)]
        piece = streams[conn][at[conn] : at[conn] + size]
        at[conn] += size
        channel += pack(">II", conn, len(piece)) + piece
        if noise:
            channel += pack(">II", 0, 3) + b"abc" + pack(">II", 77, 1) + b"x" + pack(">II", conn, 0)
        step += 1
    events = feed(plugin, bytes(channel), cuts)
    assert [event for event in events if isinstance(event, Request)] == expected_calls
    assert [event for event in events if isinstance(event, Reply)] == expected_replies
    assert plugin.pop_outgoing() == b""


MALFORMED = {
    "unknown service": (configure(1, service="X"), 12, "service X"),
    "other side's service": (
        configure(1, service="nri.pkg.api.v1alpha1.Runtime"),
        12,
        "service nri.pkg.api.v1alpha1.Runtime",
    ),
    "unknown method": (configure(1, method="X"), 12, "method X"),
    "even id": (configure(2), 3, "StreamID must be odd for client initiated streams"),
    "data frame": (raw(1, 1, 3, b"x"), 3, "StreamID is no longer active"),
}


@pytest.mark.parametrize(("channel", "code", "text"), MALFORMED.values(), ids=MALFORMED)
def test_a_refusal_waits_in_pop_outgoing_and_the_connection_goes_on(channel, code, text):
    plugin = Connection(Side.PLUGIN)
    assert feed(plugin, channel) == []
    outgoing = plugin.pop_outgoing()
    assert {conn for conn, _ in payloads(outgoing)} == {1}
    _, kind, flags, data = ttrpc_frame_on(outgoing)
    assert (kind, flags) == (2, 0)
    assert ttrpc_pb2.Response.FromString(data) == ttrpc_pb2.Response(status=ttrpc_pb2.Status(code=code, message=text))
    assert plugin.pop_outgoing() == b""
    assert feed(plugin, configure(3)) == [Request(3, "Configure", b"", 0, ())]


HARMLESS = {
    "connection 0": pack(">II", 0, 5) + b"hello",
    "connection nobody opened": raw(3, 1, 1, b"x"),
    "empty payloads": pack(">II", 1, 0) + pack(">II", 2, 0),
    "unknown type": raw(1, 1, 9, b"\xff") + raw(2, 1, 9, b"\xff"),
    "answer to nothing": raw(2, 1, 2, b"") + raw(2, 8, 2, b"\xff"),
    "answer on the served connection": raw(1, 1, 2, b""),
    "request on the called connection": raw(2, 1, 1, b""),
}


@pytest.mark.parametrize("channel", HARMLESS.values(), ids=HARMLESS)
def test_what_means_nothing_is_ignored(channel):
    plugin = Connection(Side.PLUGIN)
    assert feed(plugin, channel) == []
    assert plugin.pop_outgoing() == b""
    assert feed(plugin, configure(1)) == [Request(1, "Configure", b"", 0, ())]


def test_unknown_flags_are_ignored():
    request = ttrpc_pb2.Request(service=PLUGIN, method="Shutdown").SerializeToString()
    assert feed(Connection(Side.PLUGIN), raw(1, 1, 1, request, flags=0xFF)) == [Request(1, "Shutdown", b"", 0, ())]


def test_unknown_fields_and_enum_values_of_a_message_do_not_break_it():
    message = api_pb2.StateChangeEvent(event=99, pod=api_pb2.PodSandbox(id="p")).SerializeToString() + b"\xf8\x01\x07"
    (request,) = feed(Connection(Side.PLUGIN), configure(1, method="StateChange", payload=message))
    decoded = api_pb2.StateChangeEvent.FromString(request.payload)
    assert decoded.event == 99
    assert decoded.pod.id == "p"


@pytest.mark.parametrize("step", [1, 7, 10000])
@pytest.mark.parametrize(
    "bad", [pack(">II", 1, 1001), pack(">II", 9, 1 << 31), pack(">II", 1, 10) + pack(">IIBB", 1001, 3, 1, 0)]
)
def test_beyond_the_caps_the_violation_follows_the_events_before_it_and_stays(bad, step):
    plugin = Connection(Side.PLUGIN, max_payload_bytes=1000, max_message_bytes=1000)
    data = configure(1) + bad + configure(3)
    for at in range(0, len(data), step):
        plugin.receive_data(data[at : at + step])
    assert plugin.next_event() == Request(1, "Configure", b"", 0, ())
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="reconnect"):
            plugin.next_event()
    plugin.receive_data(configure(5))
    with pytest.raises(RemoteProtocolError):
        plugin.next_event()


def test_a_message_of_more_than_four_mib_is_received_as_old_containerds_send_it():
    """4096 bytes and then all the rest in one mux frame, which containerd 1.7.0-1.7.25 did with 6 MB."""
    request = ttrpc_pb2.Request(service=PLUGIN, method="Synchronize", payload=bytes(6 * MIB)).SerializeToString()
    body = pack(">IIBB", len(request), 1, 1, 0) + request
    channel = pack(">II", 1, 4096) + body[:4096] + pack(">II", 1, len(body) - 4096) + body[4096:]
    (event,) = feed(Connection(Side.PLUGIN), channel, cuts=[8, 70000, 5 * MIB])
    assert event == Request(1, "Synchronize", bytes(6 * MIB), 0, ())


def test_an_answer_too_large_is_refused_here_and_an_error_can_still_be_given():
    plugin, runtime = Connection(Side.PLUGIN), Connection(Side.RUNTIME)
    stream, data = runtime.call("Configure", api_pb2.ConfigureRequest())
    (request,) = feed(plugin, data)
    with pytest.raises(MessageTooLarge) as caught:
        plugin.reply(request, bytes(4 * MIB))
    answer = plugin.reply_error(request, caught.value.code, str(caught.value))
    assert feed(runtime, answer) == [Reply(stream, 8, str(caught.value), b"")]


def test_a_call_too_large_is_refused_here_and_the_next_one_works():
    runtime = Connection(Side.RUNTIME)
    with pytest.raises(MessageTooLarge) as caught:
        runtime.call("Configure", api_pb2.ConfigureRequest(config="x" * 4 * MIB))
    assert caught.value.code == Code.RESOURCE_EXHAUSTED
    assert runtime.call("Configure", api_pb2.ConfigureRequest())[0] == 1


def test_a_method_of_the_other_side_cannot_be_called():
    with pytest.raises(LocalProtocolError, match="Configure"):
        Connection(Side.PLUGIN).call("Configure", api_pb2.ConfigureRequest())


def test_a_late_answer_after_forget_is_ignored():
    plugin, runtime = Connection(Side.PLUGIN), Connection(Side.RUNTIME)
    first, data = plugin.call("UpdateContainers", api_pb2.UpdateContainersRequest())
    second, more = plugin.call("UpdateContainers", api_pb2.UpdateContainersRequest())
    one, two = feed(runtime, data + more)
    plugin.forget(first)
    assert feed(plugin, runtime.reply(one, None) + runtime.reply(two, None)) == [Reply(second, 0, "", b"")]


def test_eof_is_not_data():
    with pytest.raises(ValueError, match="EOF"):
        Connection(Side.PLUGIN).receive_data(b"")


def test_messages_use_the_connection_that_belongs_to_the_service():
    plugin, runtime = Connection(Side.PLUGIN), Connection(Side.RUNTIME)
    _, registration = plugin.call("RegisterPlugin", api_pb2.RegisterPluginRequest())
    _, configuration = runtime.call("Configure", api_pb2.ConfigureRequest())
    (request,) = feed(plugin, configuration)
    assert [conn for conn, _ in payloads(registration)] == [mux.RUNTIME_CONN]
    assert [conn for conn, _ in payloads(configuration)] == [mux.PLUGIN_CONN]
    assert [conn for conn, _ in payloads(plugin.reply(request, None))] == [mux.PLUGIN_CONN]
