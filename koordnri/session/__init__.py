"""Drives the wire over a socket: the plugin side (our daemon) and the runtime side (an embedded NRI runtime).

Belongs here: connecting, the handshake, reconnecting, translating messages to contexts and decisions to messages.
Does not belong here: how bytes are framed (wire), what is decided (chain and hooks), metrics' names (observe).
"""
