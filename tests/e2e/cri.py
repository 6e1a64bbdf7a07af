"""A CRI client as thin as can be: service methods by name, over containerd's unix socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from tests.e2e import lab


class CRI:
    """RuntimeService and ImageService of one runtime; every call waits for the runtime, bounded by its timeout."""

    def __init__(self, socket: Path) -> None:
        self.messages = lab.cri_messages()
        self._channel = grpc.insecure_channel(
            f"unix://{socket}",
            options=[
                # Go's server refuses the authority that grpc derives from a unix path.
                ("grpc.default_authority", "localhost"),
                # The runtime is killed and restarted by tests: look for it often.
                ("grpc.initial_reconnect_backoff_ms", 50),
                ("grpc.min_reconnect_backoff_ms", 50),
                ("grpc.max_reconnect_backoff_ms", 200),
                # A pool shared with other channels would keep a dead runtime's connection.
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )

    def call(self, method: str, timeout_s: float = 60.0, **fields: Any) -> Any:
        """Response of RuntimeService's `method` to a request of `fields`. Raises grpc.RpcError."""
        return self._call("RuntimeService", method, timeout_s, fields)

    def image_call(self, method: str, timeout_s: float = 60.0, **fields: Any) -> Any:
        """Response of ImageService's `method` to a request of `fields`. Raises grpc.RpcError."""
        return self._call("ImageService", method, timeout_s, fields)

    def close(self) -> None:
        """Close the connection; the client is of no use afterwards."""
        self._channel.close()

    def _call(self, service: str, method: str, timeout_s: float, fields: dict[str, Any]) -> Any:
        descriptor = self.messages.DESCRIPTOR.services_by_name[service].methods_by_name[method]
        request = getattr(self.messages, descriptor.input_type.name)
        response = getattr(self.messages, descriptor.output_type.name)
        rpc = self._channel.unary_unary(
            f"/runtime.v1.{service}/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return rpc(request(**fields), timeout=timeout_s, wait_for_ready=True)
