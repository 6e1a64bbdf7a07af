"""ttRPC frames, and the two halves of a connection: what each frame of a peer amounts to."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.wire import ttrpc, ttrpc_pb2
from koordnri.wire.errors import Code, LocalProtocolError, MessageTooLarge, RemoteProtocolError
from koordnri.wire.ttrpc import ClientHalf, Frame, FrameReader, Reply, Request, ServerHalf

MIB = 1024 * 1024
ODD = "StreamID must be odd for client initiated streams"
REUSED = "StreamID cannot be re-used and must increment"


def encoded(stream=1, service="S", method="Do", payload=b"", **fields) -> Frame:
    request = ttrpc_pb2.Request(service=service, method=method, payload=payload, **fields)
    return Frame(stream, ttrpc.REQUEST, request.SerializeToString())


def response(stream, **fields) -> Frame:
    return Frame(stream, ttrpc.RESPONSE, ttrpc_pb2.Response(**fields).SerializeToString())


def read_one(data: bytes) -> Frame:
    (frame,) = FrameReader().feed(data)
    return frame


def refusal(data) -> tuple[int, int, str]:
    """Stream, code and text of an error answer."""
    assert isinstance(data, bytes)
    frame = read_one(data)
    assert frame.type == ttrpc.RESPONSE
    answer = ttrpc_pb2.Response.FromString(frame.data)
    assert not answer.payload
    return frame.stream, answer.status.code, answer.status.message


# ---------------------------------------------------------------------------------------------- frames

raw_frames = st.lists(
    st.tuples(st.integers(0, ttrpc.MAX_STREAM), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=50)),
    max_size=8,
)


@given(frames=raw_frames, cuts=st.lists(st.integers(0, 600), max_size=20))
@settings(deadline=None)
def test_every_split_gives_the_same_frames_and_flags_are_ignored(frames, cuts):
    data = b"".join(pack(">IIBB", len(body), stream, kind, flags) + body for stream, kind, flags, body in frames)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    reader = FrameReader()
    got = [frame for a, b in pairwise(edges) for frame in reader.feed(data[a:b])]
    expected = [(stream, kind, body) for stream, kind, _, body in frames]
    assert got == expected
    bytewise = FrameReader()
    assert [frame for at in range(len(data)) for frame in bytewise.feed(data[at : at + 1])] == expected


def test_more_than_four_mib_is_received():
    body = bytes(6 * MIB)
    reader = FrameReader()
    header = pack(">IIBB", len(body), 5, 1, 0)
    got = reader.feed(header + body[:4086])
    got += reader.feed(body[4086:])
    assert got == [(5, 1, body)]
    assert reader.error is None


def test_more_than_the_cap_breaks_the_stream_after_what_came_before():
    reader = FrameReader(max_bytes=100)
    good = pack(">IIBB", 100, 1, 1, 0) + bytes(100)
    assert reader.feed(good + pack(">IIBB", 101, 3, 1, 0)) == [(1, 1, bytes(100))]
    assert isinstance(reader.error, RemoteProtocolError)
    assert "stream 3" in str(reader.error)
    assert "101" in str(reader.error)
    assert reader.feed(good) == []


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 16383, 16384, 2097151, 2097152, (1 << 63) - 1])
def test_varint_is_protobufs(value):
    field = ttrpc_pb2.Request(timeout_nano=value).SerializeToString()
    assert field == (b"\x20" + ttrpc.varint(value) if value else b"")


@given(payload=st.binary(max_size=300))
@settings(deadline=None)
def test_a_reply_is_what_protobuf_would_write(payload):
    frame = read_one(ttrpc.encode_reply(7, payload))
    assert frame == (7, ttrpc.RESPONSE, ttrpc_pb2.Response(payload=payload).SerializeToString())


@given(payload=st.binary(max_size=300), timeout=st.integers(0, (1 << 63) - 1))
@settings(deadline=None)
def test_a_call_is_what_protobuf_would_write(payload, timeout):
    _, data = ClientHalf("S", ["Do"]).encode_call("Do", payload, timeout)
    expected = ttrpc_pb2.Request(service="S", method="Do", payload=payload, timeout_nano=timeout)
    assert read_one(data) == (1, ttrpc.REQUEST, expected.SerializeToString())


def test_four_mib_is_the_most_that_is_sent():
    head = 1 + len(ttrpc.varint(4 * MIB))  # of the payload field
    assert len(ttrpc.encode_reply(1, bytes(4 * MIB - head))) == 10 + 4 * MIB
    with pytest.raises(MessageTooLarge, match=str(4 * MIB + 1)) as caught:
        ttrpc.encode_reply(1, bytes(4 * MIB - head + 1))
    assert caught.value.code == Code.RESOURCE_EXHAUSTED
    assert len(ttrpc.encode_frame(1, ttrpc.REQUEST, bytes(4 * MIB))) == 10 + 4 * MIB
    with pytest.raises(MessageTooLarge):
        ttrpc.encode_frame(1, ttrpc.REQUEST, bytes(4 * MIB + 1))


@pytest.mark.parametrize("code", [0, -1, 1 << 31])
def test_an_error_answer_needs_an_error_code(code):
    with pytest.raises(LocalProtocolError, match=str(code)):
        ttrpc.encode_error(1, code, "no")


def test_an_error_text_is_cut_and_made_utf8():
    assert refusal(ttrpc.encode_error(1, 2, "bad \udcff name")) == (1, 2, "bad ? name")
    _, _, text = refusal(ttrpc.encode_error(1, 2, "é" * 10 * MIB))
    assert text == "é" * ttrpc.MAX_ERROR_CHARS


# ---------------------------------------------------------------------------------------------- server half

MALFORMED = {
    "unknown service": (encoded(3, service="X"), (3, 12, "service X")),
    "unknown method": (encoded(3, method="X"), (3, 12, "method X")),
    "even id": (encoded(4), (4, 3, ODD)),
    "id 0": (encoded(0), (0, 3, ODD)),
    "same id again": (encoded(1), (1, 3, REUSED)),
    "data frame": (Frame(1, ttrpc.DATA, b"piece"), (1, 3, "StreamID is no longer active")),
    "data frame of a stream never seen": (Frame(9, ttrpc.DATA, b""), (9, 3, "StreamID is no longer active")),
    "data frame, even id": (Frame(2, ttrpc.DATA, b""), (2, 3, ODD)),
}


@pytest.mark.parametrize(("frame", "expected"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests_are_refused_in_gos_words_and_the_next_one_is_served(frame, expected):
    server = ServerHalf("S", ["Do"])
    assert server.receive(encoded(1)) == Request(1, "Do", b"", 0, ())
    assert refusal(server.receive(frame)) == expected
    assert server.receive(encoded(5, payload=b"x")) == Request(5, "Do", b"x", 0, ())


def test_an_id_below_the_last_one_is_refused():
    server = ServerHalf("S", ["Do"])
    server.receive(encoded(9))
    assert refusal(server.receive(encoded(7))) == (7, 3, REUSED)


@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x08"], ids=["no tag", "cut short", "not UTF-8", "cut tag"]
)
def test_an_undecodable_request_is_refused(data):
    server = ServerHalf("S", ["Do"])
    stream, code, text = refusal(server.receive(Frame(1, ttrpc.REQUEST, data)))
    assert (stream, code) == (1, 3)
    assert text.startswith("unmarshal request error: ")
    assert isinstance(server.receive(encoded(3)), Request)


@pytest.mark.parametrize("kind", [0, 2, 4, 77, 255])
def test_unknown_types_are_ignored(kind):
    server = ServerHalf("S", ["Do"])
    assert server.receive(Frame(1, kind, b"\xff")) is None
    assert server.receive(Frame(2, kind, b"")) is None
    assert isinstance(server.receive(encoded(1)), Request)


def test_a_huge_unknown_name_is_refused_with_a_text_that_can_be_sent():
    refused = ServerHalf("S", ["Do"]).receive(encoded(1, service="x" * 5 * MIB))
    assert refusal(refused) == (1, 12, ("service " + "x" * 5 * MIB)[: ttrpc.MAX_ERROR_CHARS])


def test_timeout_and_metadata_are_passed_and_repeated_keys_kept():
    pairs = [("traceparent", "00-1"), ("k", "a"), ("k", "b")]
    metadata = [ttrpc_pb2.KeyValue(key=key, value=value) for key, value in pairs]
    request = ServerHalf("S", ["Do"]).receive(encoded(1, payload=b"p", timeout_nano=1999904303, metadata=metadata))
    assert request == Request(1, "Do", b"p", 1999904303, tuple(pairs))


def test_unknown_fields_of_a_request_are_ignored():
    frame = encoded(1)
    assert ServerHalf("S", ["Do"]).receive(frame._replace(data=frame.data + b"\xf8\x01\x07")) == Request(
        1, "Do", b"", 0, ()
    )


# ---------------------------------------------------------------------------------------------- client half


@pytest.fixture
def client():
    half = ClientHalf("S", ["Do"])
    assert [half.encode_call("Do", b"")[0] for _ in range(3)] == [1, 3, 5]
    return half


def test_answers_are_matched_out_of_order(client):
    assert client.receive(response(5, payload=b"five")) == Reply(5, 0, "", b"five")
    assert client.receive(response(1)) == Reply(1, 0, "", b"")
    assert client.receive(response(3, payload=b"three")) == Reply(3, 0, "", b"three")


def test_an_error_answer_has_code_and_text_and_no_payload(client):
    failed = response(1, status=ttrpc_pb2.Status(code=2, message="no such plugin"), payload=b"dropped")
    assert client.receive(failed) == Reply(1, 2, "no such plugin", b"")


def test_status_zero_is_success(client):
    fine = response(1, status=ttrpc_pb2.Status(code=0, message="ok"), payload=b"kept")
    assert client.receive(fine) == Reply(1, 0, "", b"kept")


@pytest.mark.parametrize("stream", [0, 2, 7, ttrpc.MAX_STREAM])
def test_an_answer_nobody_waits_for_is_ignored(client, stream):
    assert client.receive(response(stream, payload=b"x")) is None
    assert client.receive(response(1)) == Reply(1, 0, "", b"")


def test_a_second_answer_and_one_after_forget_are_ignored(client):
    assert client.receive(response(1)) is not None
    assert client.receive(response(1)) is None
    client.forget(3)
    client.forget(3)
    assert client.receive(response(3)) is None
    assert client.receive(response(5)) is not None


@pytest.mark.parametrize(
    "frame", [Frame(3, ttrpc.RESPONSE, b"\xff"), Frame(3, ttrpc.DATA, b"piece")], ids=["undecodable", "data frame"]
)
def test_an_unreadable_answer_fails_that_call_only(client, frame):
    reply = client.receive(frame)
    assert (reply.stream, reply.code, reply.payload) == (3, Code.INTERNAL, b"")
    assert "stream 3" in reply.text.lower()
    assert client.receive(response(5)) == Reply(5, 0, "", b"")


@pytest.mark.parametrize("kind", [0, 1, 4, 255])
def test_a_frame_of_another_type_does_not_end_a_call(client, kind):
    assert client.receive(Frame(1, kind, b"")) is None
    assert client.receive(response(1)) == Reply(1, 0, "", b"")


@pytest.mark.parametrize(
    ("method", "payload", "timeout", "error"),
    [
        ("Undo", b"", 0, LocalProtocolError),
        ("Do", b"", -1, LocalProtocolError),
        ("Do", b"", 1 << 63, LocalProtocolError),
        ("Do", bytes(4 * MIB), 0, MessageTooLarge),
    ],
)
def test_a_call_refused_locally_consumes_no_id(client, method, payload, timeout, error):
    with pytest.raises(error):
        client.encode_call(method, payload, timeout)
    assert client.encode_call("Do", b"")[0] == 7
