"""Methods of NRI's two services, as the proto has them."""

from __future__ import annotations

from koordnri.wire import api_pb2
from koordnri.wire.services import PLUGIN_METHODS, PLUGIN_SERVICE, RUNTIME_METHODS, RUNTIME_SERVICE


def test_a_method_has_the_messages_of_the_proto() -> None:
    assert PLUGIN_METHODS["CreateContainer"] == (api_pb2.CreateContainerRequest, api_pb2.CreateContainerResponse)
    assert PLUGIN_METHODS["RemovePodSandbox"].request is api_pb2.RemovePodSandboxRequest


def test_the_runtime_serves_two_methods() -> None:
    assert RUNTIME_METHODS.keys() == {"RegisterPlugin", "UpdateContainers"}


def test_the_services_are_named_as_in_the_proto() -> None:
    services = {one.full_name for one in api_pb2.DESCRIPTOR.services_by_name.values()}
    assert {PLUGIN_SERVICE, RUNTIME_SERVICE} <= services
