"""The plugin's side of NRI over a socket: our daemon as the runtime sees it.

Belongs here: connecting, the handshake, reconnecting; messages to contexts, and decisions to messages.
Does not belong here: how bytes are framed (wire), what is decided (chain and hooks), names of metrics (observe).
"""
