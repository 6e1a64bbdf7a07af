"""Methods and message types of NRI's two services, read from the protos so that they are listed in one place."""

from __future__ import annotations

from typing import Final, NamedTuple

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from koordnri.wire import api_pb2


class Method(NamedTuple):
    """Message types of one RPC."""

    request: type[Message]
    response: type[Message]


def _methods(service: str) -> dict[str, Method]:
    descriptor = api_pb2.DESCRIPTOR.services_by_name[service]
    return {
        method.name: Method(GetMessageClass(method.input_type), GetMessageClass(method.output_type))
        for method in descriptor.methods
    }


PLUGIN_SERVICE: Final = "nri.pkg.api.v1alpha1.Plugin"
RUNTIME_SERVICE: Final = "nri.pkg.api.v1alpha1.Runtime"

PLUGIN_METHODS: Final = _methods("Plugin")
"""Methods of the service that the plugin serves: name → message types."""
RUNTIME_METHODS: Final = _methods("Runtime")
"""Methods of the service that the runtime serves: name → message types."""
