"""A plugin with one planted fault: `python -m tests.conformance.faulty SOCKET FAULT`. Without a fault it is as it should be."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from typing import Any

from google.protobuf.message import DecodeError

from koordnri.wire import api_pb2 as api
from koordnri.wire import mux, ttrpc, ttrpc_pb2
from koordnri.wire.events import NRIEvent, subscription
from koordnri.wire.services import PLUGIN_METHODS, PLUGIN_SERVICE, RUNTIME_SERVICE
from koordnri.wire.versions import Version, nri_version, valid_event_mask

FAULTS = {
    "index": "CF01",
    "late": "CF02",
    "all-events": "CF03",
    "sync-error": "CF04",
    "no-more": "CF05",
    "deaf": "CF06",
    "unimplemented": "CF07",
    "known-events": "CF08",
    "strict": "CF09",
    "one-read": "CF10",
    "known-connections": "CF11",
    "small": "CF12",
    "large-frames": "CF13",
    "yes-to-all": "CF14",
    "broken-request": "CF15",
    "known-frames": "CF16",
    "conflict": "CF17",
    "hang": "CF18",
    "no-sigterm": "CF19",
}
"""fault → the check that must find it"""


class Plugin:
    """Its own few lines of mux and ttRPC, so that each of them can be wrong."""

    def __init__(self, path: str, fault: str) -> None:
        self.fault = fault
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(path)
        self.reader = mux.MuxReader()
        self.frames = {1: ttrpc.FrameReader(), 2: ttrpc.FrameReader()}
        self.registered = False

    def serve(self) -> None:
        index = "1" if self.fault == "index" else "10"
        request = api.RegisterPluginRequest(plugin_name="faulty", plugin_idx=index)
        call = ttrpc_pb2.Request(service=RUNTIME_SERVICE, method="RegisterPlugin", payload=request.SerializeToString())
        self.sock.sendall(mux.frame(2, ttrpc.encode_frame(1, ttrpc.REQUEST, call.SerializeToString())))
        while data := self.sock.recv(65536):
            if self.fault == "one-read" and len(data) < mux.HEADER_BYTES:
                sys.exit("a frame was not whole")
            for conn, piece in self.reader.feed(data):
                if conn not in self.frames:
                    if self.fault == "known-connections":
                        sys.exit("an unknown connection")
                    continue
                for frame in self.frames[conn].feed(piece):
                    self.take(conn, frame)

    def take(self, conn: int, frame: ttrpc.Frame) -> None:
        if conn == 2:
            self.registered = True
            return
        if frame.type != ttrpc.REQUEST:
            if self.fault == "known-frames":
                sys.exit("an unknown frame")
            return
        if self.fault == "small" and len(frame.data) > 100_000:
            sys.exit("too large")
        try:
            request = ttrpc_pb2.Request.FromString(frame.data)
        except DecodeError:
            if self.fault == "broken-request":
                sys.exit("a broken request")
            self.refuse(frame.stream, 3, "cannot decode it")
            return
        known = request.service == PLUGIN_SERVICE and request.method in PLUGIN_METHODS
        if not known and self.fault != "yes-to-all":
            self.refuse(frame.stream, 12, "unknown")
        else:
            self.respond(frame.stream, request.method, request.payload if known else b"", known=known)

    def respond(self, stream: int, method: str, payload: bytes, *, known: bool) -> None:
        if not known:
            self.reply(stream, b"")
            return
        message: Any = PLUGIN_METHODS[method].request.FromString(payload)
        if method == "Configure":
            self.configure(stream, message)
        elif method == "Synchronize":
            if self.fault == "sync-error":
                self.refuse(stream, 2, "no")
            else:
                self.reply(
                    stream,
                    b"" if self.fault == "no-more" else api.SynchronizeResponse(more=message.more).SerializeToString(),
                )
        else:
            self.event(stream, method, message)

    def configure(self, stream: int, message: api.ConfigureRequest) -> None:
        if self.fault == "late" and not self.registered:
            return
        version = nri_version(message.runtime_name, message.runtime_version, message.NRI_version)
        wanted = [e for e in NRIEvent if self.fault != "unimplemented" or e is NRIEvent.CREATE_CONTAINER]
        if self.fault == "all-events":
            events = valid_event_mask(Version(0, 12, 5))
        else:
            events = subscription(wanted, valid_event_mask(version) & ~NRIEvent.VALIDATE_CONTAINER_ADJUSTMENT.bit)
        self.reply(stream, api.ConfigureResponse(events=events).SerializeToString())

    def event(self, stream: int, method: str, message: Any) -> None:
        if method == "StateChange" and self.fault == "known-events" and message.event not in list(NRIEvent):
            self.refuse(stream, 2, "unknown event")
        elif self.fault == "strict" and getattr(message, "container", None) is not None and message.container.state > 4:
            self.refuse(stream, 2, "unknown state")
        elif self.fault == "unimplemented" and method != "CreateContainer":
            self.refuse(stream, 12, "unimplemented")
        elif self.fault == "deaf" and method == "StopContainer":
            return
        elif method == "CreateContainer":
            self.reply(stream, self.created(message).SerializeToString())
        else:
            self.reply(stream, b"")

    def created(self, message: api.CreateContainerRequest) -> api.CreateContainerResponse:
        answer = api.CreateContainerResponse()
        if self.fault == "large-frames":
            answer.adjust.annotations["large"] = "x" * 10_000
        if self.fault == "conflict":
            answer.update.add(container_id=message.container.id).linux.resources.cpu.shares.value = 2
        return answer

    def reply(self, stream: int, payload: bytes) -> None:
        data = ttrpc.encode_reply(stream, payload)
        framed = struct.pack(">II", 1, len(data)) + data if self.fault == "large-frames" else mux.frame(1, data)
        self.sock.sendall(framed)

    def refuse(self, stream: int, code: int, text: str) -> None:
        self.sock.sendall(mux.frame(1, ttrpc.encode_error(stream, code, text)))


def main(path: str, fault: str = "") -> None:
    if fault == "no-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        Plugin(path, fault).serve()
    except OSError:
        os._exit(1)
    while fault == "hang":
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
