"""The floor of `bench`: a plugin that parses each request and answers nothing.

It subscribes to the same events as the daemon, and uses the same wire and transport. What the daemon costs above it is what the
daemon does. Run as a process of its own: `python -m koordnri.cli.bench.bare SOCKET`.
"""

from __future__ import annotations

import socket
import sys

from google.protobuf.message import Message

from koordnri.session.handler import SUBSCRIBED
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.transport.channel import Channel
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Request, Side
from koordnri.wire.events import subscription
from koordnri.wire.services import PLUGIN_METHODS
from koordnri.wire.versions import valid_event_mask

NAME = "bare"


def serve(path: str) -> None:
    """Serve one connection to the runtime at `path` until the runtime ends it. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    channel = Channel(sock, Side.PLUGIN)
    channel.call("RegisterPlugin", api.RegisterPluginRequest(plugin_name=NAME, plugin_idx="10"))
    while (event := channel.next()) is not None:
        if isinstance(event, Request):
            channel.answer(event, _answer(PLUGIN_METHODS[event.method].request.FromString(event.payload)))


def _answer(request: Message) -> Message | None:
    if isinstance(request, api.ConfigureRequest):
        return api.ConfigureResponse(events=subscription(SUBSCRIBED, valid_event_mask(RuntimeInfo.of(request).nri)))
    if isinstance(request, api.SynchronizeRequest):
        return api.SynchronizeResponse(more=request.more)
    return None


if __name__ == "__main__":
    serve(sys.argv[1])
