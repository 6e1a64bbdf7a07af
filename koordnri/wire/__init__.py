"""NRI's wire protocol without I/O (sans-IO): bytes in, events out, and back.

From the bottom: `mux` cuts the channel into two byte streams, `ttrpc` makes calls on one of them, `connection` stacks both for the
plugin's or the runtime's side. Tables of the protocol stand beside them: `api_pb2` (NRI's messages), `services`, `events`, `optional`,
`versions`. `views_pb2` is the part of the requests that the event path reads.

Belongs here: what is true of the bytes for every plugin and every runtime.
Does not belong here: sockets, threads, locks, clocks, logging; the order of the handshake (room `session`); QoS classes. Imports
nothing else of koordnri.
"""
