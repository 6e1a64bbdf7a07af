"""Any bytes on the channel, cut anywhere: calls, answers or a RemoteProtocolError, the same for every cut; never another error.

The first byte says where to cut, and which side we are.
"""

from __future__ import annotations

from koordnri.wire import api_pb2
from koordnri.wire.connection import Connection, Side
from koordnri.wire.errors import RemoteProtocolError


def check(data: bytes) -> None:
    """Mux and ttRPC, whole and in two pieces."""
    if len(data) < 2:
        return
    side = Side.PLUGIN if data[0] & 1 else Side.RUNTIME
    data, cut = data[1:], 1 + (data[0] >> 1)
    assert _outcome(side, [data]) == _outcome(side, [data[:cut], data[cut:]])


def _outcome(side: Side, pieces: list[bytes]) -> tuple[list[object], bytes, str]:
    connection = Connection(side, max_payload_bytes=500, max_message_bytes=300)
    if side is Side.PLUGIN:
        connection.call("UpdateContainers", api_pb2.UpdateContainersRequest())
    else:
        connection.call("Synchronize", api_pb2.SynchronizeRequest())
    events: list[object] = []
    refusals = b""
    try:
        for piece in filter(None, pieces):
            connection.receive_data(piece)
            refusals += connection.pop_outgoing()
            while (event := connection.next_event()) is not None:
                events.append(event)
    except RemoteProtocolError as error:
        return events, refusals, str(error)
    return events, refusals, ""
