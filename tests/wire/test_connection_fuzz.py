"""Invariant: whatever bytes come and however they are split, only RemoteProtocolError leaves next_event, nothing leaves
receive_data, and every split gives the same events, the same refusals and the same end."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koordnri.wire import api_pb2, ttrpc_pb2
from koordnri.wire.connection import Connection, Side
from koordnri.wire.errors import RemoteProtocolError
from tests.examples import examples

requests = st.builds(
    lambda service, method, payload, timeout: ttrpc_pb2.Request(
        service=service, method=method, payload=payload, timeout_nano=timeout
    ).SerializeToString(),
    st.sampled_from(["nri.pkg.api.v1alpha1.Plugin", "nri.pkg.api.v1alpha1.Runtime", "", "é"]),
    st.sampled_from(["Configure", "RegisterPlugin", "StateChange", "", "X"]),
    st.binary(max_size=30),
    st.integers(-(1 << 63), (1 << 63) - 1),
)
responses = st.builds(
    lambda code, text, payload: ttrpc_pb2.Response(
        status=ttrpc_pb2.Status(code=code, message=text), payload=payload
    ).SerializeToString(),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.text(max_size=5),
    st.binary(max_size=30),
)
ttrpc_frames = st.builds(
    lambda stream, kind, flags, data: pack(">IIBB", len(data), stream, kind, flags) + data,
    st.integers(0, 12) | st.just(0xFFFFFFFF),
    st.sampled_from([1, 1, 2, 2, 3]) | st.integers(0, 255),
    st.integers(0, 255),
    requests | responses | st.binary(max_size=20),
)
mux_frames = st.builds(
    lambda conn, payload: pack(">II", conn, len(payload)) + payload,
    st.sampled_from([1, 1, 2, 2, 0, 3]),
    st.lists(ttrpc_frames, max_size=3).map(b"".join) | st.binary(max_size=20),
)


@st.composite
def channels(draw):
    """Nearly valid channels: whole frames, then some bytes changed, taken out or put in."""
    data = bytearray(b"".join(draw(st.lists(mux_frames, max_size=8))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        edit = draw(st.sampled_from(["change", "delete", "insert"]))
        if edit == "insert":
            data[at:at] = draw(st.binary(max_size=9))
        elif edit == "delete":
            del data[at : at + draw(st.integers(1, 9))]
        elif at < len(data):
            data[at] = draw(st.integers(0, 255))
    return bytes(data)


def outcome(side, pieces):
    connection = Connection(side, max_payload_bytes=500, max_message_bytes=300)
    for _ in range(4):  # calls that wait for an answer: streams 1, 3, 5, 7
        if side is Side.PLUGIN:
            connection.call("UpdateContainers", api_pb2.UpdateContainersRequest())
        else:
            connection.call("Synchronize", api_pb2.SynchronizeRequest())
    events = []
    refusals = b""
    for piece in pieces:
        if not piece:
            continue
        connection.receive_data(piece)
        refusals += connection.pop_outgoing()
        try:
            while (event := connection.next_event()) is not None:
                events.append(event)
        except RemoteProtocolError as error:
            return events, refusals, str(error)
    return events, refusals, None


@given(
    data=channels() | st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 500), max_size=8),
    side=st.sampled_from(Side),
)
@settings(deadline=None, max_examples=examples(400), suppress_health_check=[HealthCheck.too_slow])
def test_nothing_but_remote_protocol_error_escapes_and_splits_do_not_matter(data, cuts, side):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    whole = outcome(side, [data])
    assert outcome(side, [data[a:b] for a, b in pairwise(edges)]) == whole
    assert outcome(side, [data[at : at + 1] for at in range(len(data))]) == whole
