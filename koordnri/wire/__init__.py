"""NRI's wire protocol, sans-IO: bytes in, events out, and back.

From the bottom: `mux` (the channel's frames), `ttrpc` (calls on one logical connection), `connection` (both stacked, for the
plugin's and the runtime's side), `api_pb2` (NRI's messages) with `services`, `events`, `optional` and `versions` beside it
as the protocol's tables, and `views_pb2`, the part of the requests that the event path reads.

Belongs here: whatever is true of the bytes for every plugin and every runtime.
Does not belong here: sockets, threads, locks, clocks, logging, the order of the handshake (that is `session`), and anything
that knows what a QoS class is. Imports nothing else of koordnri.
"""
