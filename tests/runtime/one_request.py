"""One CreateContainer request and the plugins' answers to it."""

from koordnri.wire import api_pb2 as api
from tests.support.messages import container, pod

Adjust = api.ContainerAdjustment


def linux(**fields: object) -> Adjust:
    return Adjust(linux=api.LinuxContainerAdjustment(**fields))


def resources(**fields: object) -> Adjust:
    return linux(resources=api.LinuxResources(**fields))


def memory(**fields: object) -> Adjust:
    return resources(memory=api.LinuxMemory(**fields))


def cpu(**fields: object) -> Adjust:
    return resources(cpu=api.LinuxCPU(**fields))


def request(**fields: object) -> api.CreateContainerRequest:
    return api.CreateContainerRequest(pod=pod(), container=container(**fields))


def answer(adjust: Adjust) -> api.CreateContainerResponse:
    """A copy, as every plugin sends its own."""
    return api.CreateContainerResponse(adjust=adjust)


i64, u64, text, flag = api.OptionalInt64, api.OptionalUInt64, api.OptionalString, api.OptionalBool
