"""A CRI client as thin as can be: calls of the runtime's RuntimeService and ImageService by name, over its unix socket."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.isolation import cri_pb2 as cri

TIMEOUT_S = 60.0
_MESSAGES: dict[str, tuple[type[Message], Any]] = {
    "Version": (cri.VersionRequest, cri.VersionResponse),
    "Status": (cri.StatusRequest, cri.StatusResponse),
    "ListPodSandbox": (cri.ListPodSandboxRequest, cri.ListPodSandboxResponse),
    "RunPodSandbox": (cri.RunPodSandboxRequest, cri.RunPodSandboxResponse),
    "StopPodSandbox": (cri.StopPodSandboxRequest, cri.Empty),
    "RemovePodSandbox": (cri.RemovePodSandboxRequest, cri.Empty),
    "CreateContainer": (cri.CreateContainerRequest, cri.CreateContainerResponse),
    "StartContainer": (cri.StartContainerRequest, cri.Empty),
    "StopContainer": (cri.StopContainerRequest, cri.Empty),
    "RemoveContainer": (cri.RemoveContainerRequest, cri.Empty),
    "ImageStatus": (cri.ImageStatusRequest, cri.ImageStatusResponse),
}


class CRI:
    """One runtime; every call waits for it, up to TIMEOUT_S."""

    def __init__(self, socket: Path) -> None:
        """Raises BenchError where grpcio is not installed, or there is no such socket."""
        try:
            self._grpc: Any = importlib.import_module("grpc")
        except ImportError:
            raise BenchError(
                "the part isolation talks to the runtime by CRI, which needs the package grpcio: pip install 'koordnri[isolation]'"
            ) from None
        if not socket.is_socket():
            raise BenchError(
                f"{socket}: expected the socket of a container runtime, found none; name it by --runtime-endpoint"
            )
        self.socket = socket
        # Go's server refuses the authority that grpc derives from a unix path.
        self._channel = self._grpc.insecure_channel(
            f"unix://{socket}", options=[("grpc.default_authority", "localhost")]
        )

    def call(self, method: str, **fields: Any) -> Any:
        """Response to the request of these fields. Raises BenchError with the runtime's message."""
        service = "ImageService" if method == "ImageStatus" else "RuntimeService"
        request, response = _MESSAGES[method]
        rpc = self._channel.unary_unary(
            f"/runtime.v1.{service}/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            return rpc(request(**fields), timeout=TIMEOUT_S)
        except self._grpc.RpcError as error:
            raise BenchError(f"{self.socket}: {method}: {error.details()}") from None

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()
