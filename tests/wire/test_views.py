"""The views name the same fields as NRI's messages: same name, number, type and repetition, and nothing that NRI has not."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from koordnri.wire import api_pb2, views_pb2

VIEWS = views_pb2.DESCRIPTOR.message_types_by_name
SAME_AS = {
    "NewContainer": ("Container",),
    "WholeNewContainer": ("Container",),
    "WholeCreateContainerRequest": ("CreateContainerRequest",),
    "WholeMount": ("Mount",),
    "CreationMounts": ("CreateContainerRequest",),
    "MountedContainer": ("Container",),
    "NewLinuxContainer": ("LinuxContainer",),
    "Gone": ("Container", "PodSandbox"),
    "Live": ("Container",),
}


def _shape(field: FieldDescriptor) -> tuple[str, int, int, bool]:
    # An enum travels as the int32 that the view calls it.
    kind = FieldDescriptor.TYPE_INT32 if field.type == FieldDescriptor.TYPE_ENUM else field.type
    return field.name, field.number, kind, field.is_repeated


def _messages() -> list[tuple[Descriptor, Descriptor]]:
    theirs = api_pb2.DESCRIPTOR.message_types_by_name
    return [(view, theirs[name]) for n, view in VIEWS.items() for name in SAME_AS.get(n, (n,))]


@pytest.mark.parametrize(("view", "message"), _messages(), ids=lambda d: d.name)
def test_a_view_has_only_fields_of_the_message_it_views(view: Descriptor, message: Descriptor) -> None:
    assert {_shape(f) for f in view.fields} <= {_shape(f) for f in message.fields}


def test_a_request_reads_the_same_through_its_view() -> None:
    request = api_pb2.UpdateContainerRequest()
    request.pod.id, request.pod.annotations["a"] = "p1", "b"
    request.container.id, request.container.annotations["k"] = "c1", "v"
    request.container.env.append("PATH=/bin")
    request.container.linux.resources.cpu.quota.value = -1
    request.linux_resources.unified["memory.high"] = "max"
    view = views_pb2.UpdateContainerRequest.FromString(request.SerializeToString())
    assert (view.pod.id, dict(view.pod.annotations)) == ("p1", {"a": "b"})
    assert (view.container.id, dict(view.container.annotations)) == ("c1", {"k": "v"})
    assert view.container.linux.resources.cpu.quota.value == -1
    assert dict(view.linux_resources.unified) == {"memory.high": "max"}
