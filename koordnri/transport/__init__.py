"""A socket under `koordnri.wire`: how plugin and runtime, both sides of NRI, exchange bytes.

Belongs here: reading and writing a connected socket, waiting between attempts to connect.
Does not belong here: the meaning of what is sent.
"""
