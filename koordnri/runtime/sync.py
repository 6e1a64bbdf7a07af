"""Synchronize: sends all pods and containers to one plugin, in one message or in several that fit."""

from __future__ import annotations

import time
from collections.abc import Sequence

from koordnri.runtime.errors import PeerGone
from koordnri.runtime.peer import Peer
from koordnri.wire import api_pb2 as api
from koordnri.wire.errors import MessageTooLarge, RemoteStatus
from koordnri.wire.ttrpc import MAX_SENT_BYTES
from koordnri.wire.versions import Feature, Version, has

_ENVELOPE_BYTES = 64
"""About what the ttRPC request adds to a message: service, method and timeout."""
_FEWEST = 8
"""Pods and containers together. If even so few do not fit, they cannot be sent."""


def synchronize(
    peer: Peer,
    version: Version,
    pods: Sequence[api.PodSandbox],
    containers: Sequence[api.Container],
    timeout_s: float,
) -> list[api.ContainerUpdate]:
    """Send the plugin everything. Returns the updates that it asks for. The timeout (s) covers all parts together.

    Raises PeerGone; RemoteStatus when the plugin answered with an error or cannot handle parts.
    """
    deadline = time.monotonic() + timeout_s
    n_pods, n_containers = len(pods), len(containers)
    while True:
        part = api.SynchronizeRequest(pods=pods[:n_pods], containers=containers[:n_containers])
        part.more = len(pods) > n_pods or len(containers) > n_containers
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise PeerGone(f"Synchronize: plugin {peer.full_name} has not taken all parts within {timeout_s:g} s", True)
        try:
            payload = peer.call("Synchronize", part, left_s)
        except MessageTooLarge as error:
            if not has(version, Feature.SPLIT_SYNC):
                raise PeerGone(f"Synchronize: {error}; NRI {version} cannot split it") from error
            n_pods, n_containers = _fewer(n_pods, n_containers, part.ByteSize() + _ENVELOPE_BYTES)
            continue
        response: api.SynchronizeResponse = peer.decode("Synchronize", payload)
        if not part.more:
            return list(response.update)
        if response.update or not response.more:
            raise RemoteStatus(2, "plugin does not handle split sync requests", "Synchronize")
        pods, containers = pods[n_pods:], containers[n_containers:]
        n_pods, n_containers = min(n_pods, len(pods)), min(n_containers, len(containers))


def _fewer(n_pods: int, n_containers: int, size_bytes: int) -> tuple[int, int]:
    """How many to try next; both counts shrink by one factor. Go's rule (nri.md 3.3), but never 0 of a kind.

    Go arrives at 0 pods per message when few pods have many large containers; then it sends empty messages until the timeout.
    """
    if n_pods + n_containers <= _FEWEST:
        text = (
            f"failed to synchronize plugin with split messages: {size_bytes} bytes for {n_pods + n_containers} objects"
        )
        raise RemoteStatus(2, text, "Synchronize")
    factor = min(0.9, MAX_SENT_BYTES / size_bytes)
    n_pods, n_containers = max(1, int(n_pods * factor)), max(1, int(n_containers * factor))
    if n_pods + n_containers < _FEWEST:
        return _FEWEST // 2, _FEWEST // 2
    return n_pods, n_containers
