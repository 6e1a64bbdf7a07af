"""A socket under `koordnri.wire`: what both sides of NRI, plugin and runtime, need to talk.

Belongs here: reading and writing a connected socket, waiting between attempts to connect.
Does not belong here: what is said over it.
"""
