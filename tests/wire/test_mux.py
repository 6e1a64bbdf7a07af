"""The channel's frames: any input split, any number of frames, and output that a Go peer survives."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koordnri.wire import mux
from koordnri.wire.errors import RemoteProtocolError
from tests.examples import examples
from tests.wire.gopeer import QUEUE_PAYLOADS, GoReader, Killed, payloads

MIB = 1024 * 1024
EDGES = [0, 1, 10, 4085, 4086, 4087, 4095, 4096, 4097, 8191, 8192, 8193, 512 * 1024, 512 * 1024 + 1, MIB, 4 * MIB + 10]


def channel_of(frames):
    return b"".join(pack(">II", conn, len(payload)) + payload for conn, payload in frames)


def streams_of(slices):
    streams = {}
    for conn, piece in slices:
        streams[conn] = streams.get(conn, b"") + piece
    return streams


def pieces(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


frame_lists = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=40)), max_size=12)


@given(frames=frame_lists, cuts=st.lists(st.integers(0, 1000), max_size=20))
@settings(deadline=None)
def test_every_split_gives_the_same_streams(frames, cuts):
    channel = channel_of(frames)
    split = mux.MuxReader()
    slices = [piece for data in pieces(channel, cuts) for piece in split.feed(data)]
    assert streams_of(slices) == streams_of((conn, payload) for conn, payload in frames if payload)
    assert all(piece for _, piece in slices)
    assert split.error is None


def test_bytes_one_at_a_time_give_the_same_streams_as_whole():
    channel = channel_of([(1, b"first"), (2, b"second"), (1, b""), (1, b"third")])
    bytewise = mux.MuxReader()
    slices = [piece for at in range(len(channel)) for piece in bytewise.feed(channel[at : at + 1])]
    assert streams_of(slices) == {1: b"firstthird", 2: b"second"}
    assert mux.MuxReader().feed(channel) == [(1, b"first"), (2, b"second"), (1, b"third")]


@pytest.mark.parametrize("size", [16 * MIB, 64 * MIB])
def test_large_payloads_are_accepted(size):
    reader = mux.MuxReader()
    total = 0
    data = pack(">II", 1, size)
    sent = 0
    while sent < size:
        total += sum(len(piece) for _, piece in reader.feed(data))
        data = bytes(min(4 * MIB, size - sent))
        sent += len(data)
    total += sum(len(piece) for _, piece in reader.feed(data + channel_of([(2, b"next")]))[:-1])
    assert total == size
    assert reader.error is None


def test_a_payload_beyond_the_cap_ends_the_channel_after_what_came_before():
    reader = mux.MuxReader(max_payload_bytes=100)
    at_cap = channel_of([(1, bytes(100))])
    assert reader.feed(at_cap + pack(">II", 1, 101) + b"rest") == [(1, bytes(100))]
    assert isinstance(reader.error, RemoteProtocolError)
    assert "101" in str(reader.error)
    assert reader.feed(at_cap) == []


@pytest.mark.parametrize("size", EDGES)
def test_written_frames_carry_the_message_and_a_go_peer_reads_it(size):
    body = bytes(range(256)) * (size // 256 + 1)
    message = pack(">IIBB", max(size - 10, 0), 1, 2, 0) + body[: max(size - 10, 0)] if size >= 10 else body[:size]
    written = payloads(mux.frame(2, message))
    assert {conn for conn, _ in written} == {2}
    assert b"".join(payload for _, payload in written) == message
    if size >= 10:
        assert GoReader([payload for _, payload in written]).frame() == message


@given(sizes=st.lists(st.sampled_from(EDGES[2:]) | st.integers(10, 20000), min_size=1, max_size=4))
@settings(deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
def test_a_go_peer_reads_messages_in_any_sequence(sizes):
    queued = []
    messages = []
    for number, size in enumerate(sizes):
        message = pack(">IIBB", size - 10, 2 * number + 1, 2, 0) + bytes(size - 10)
        written = [payload for _, payload in payloads(mux.frame(1, message))]
        if len(queued) + len(written) > QUEUE_PAYLOADS:
            break  # no peer leaves so much unread: it takes a message before it sends the next one
        messages.append(message)
        queued += written
    reader = GoReader(queued)
    assert [reader.frame() for _ in messages] == messages


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (4096, [4096]),
        (4097, [4096, 1]),
        (10000, [4096, 4096, 1808]),
        (512 * 1024, [4096] * 128),
        (512 * 1024 + 1, [4096, 512 * 1024 + 1 - 4096]),
        (4 * MIB + 10, [4096, 4 * MIB + 10 - 4096]),
        (4096 + 4194314 + 5, [4096, 4194314, 5]),
    ],
)
def test_payload_sizes(size, expected):
    assert [len(payload) for _, payload in payloads(mux.frame(1, bytes(size)))] == expected


def test_the_go_model_knows_what_kills():
    """Else the tests above could not fail."""
    message = pack(">IIBB", 4087, 1, 2, 0) + bytes(4087)
    with pytest.raises(Killed, match="4097"):
        GoReader([message]).frame()
    with pytest.raises(Killed, match="257"):
        GoReader([b"x"] * 257)
    small = pack(">IIBB", 10, 1, 2, 0) + bytes(10)
    reader = GoReader([small + message[:4000], message[4000:]])
    assert [reader.frame(), reader.frame()] == [small, message]
    reader = GoReader([small, message])
    assert reader.frame() == small
    with pytest.raises(Killed, match="4097"):
        reader.frame()
