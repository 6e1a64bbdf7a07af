"""Set-to-zero is not unset, on the bytes; and the removal marker."""

from __future__ import annotations

import pytest

from koordnri.wire import api_pb2
from koordnri.wire.errors import LocalProtocolError
from koordnri.wire.optional import get_optional, removal, set_optional, split_removal

CASES = [
    (api_pb2.LinuxCPU, "quota", -1, 0),
    (api_pb2.LinuxCPU, "shares", 1024, 0),
    (api_pb2.LinuxMemory, "disable_oom_killer", True, False),
    (api_pb2.LinuxResources, "rdt_class", "gold", ""),
    (api_pb2.LinuxContainerAdjustment, "oom_score_adj", -999, 0),
    (api_pb2.LinuxDevice, "file_mode", 0o660, 0),
    (api_pb2.LinuxRdt, "schemata", ["L3:0=f", "MB:0=50"], []),
]


@pytest.mark.parametrize(("message_type", "field", "value", "zero"), CASES)
def test_set_zero_and_unset_differ_on_the_wire(message_type, field, value, zero):
    number = message_type.DESCRIPTOR.fields_by_name[field].number
    message = message_type()
    assert get_optional(message, field) is None
    assert message.SerializeToString() == b""

    set_optional(message, field, zero)
    assert message.SerializeToString() == bytes([number << 3 | 2, 0])
    assert get_optional(message_type.FromString(message.SerializeToString()), field) == zero

    set_optional(message, field, value)
    assert get_optional(message_type.FromString(message.SerializeToString()), field) == value

    set_optional(message, field, zero)
    assert message.SerializeToString() == bytes([number << 3 | 2, 0])

    set_optional(message, field, None)
    assert message.SerializeToString() == b""


def test_reading_an_unset_value_does_not_set_it():
    message = api_pb2.LinuxCPU()
    get_optional(message, "quota")
    assert not message.HasField("quota")


@pytest.mark.parametrize(
    ("field", "value"), [("quota", 1 << 63), ("shares", -1), ("quota", "many"), ("quota", ["x"]), ("shares", 1 << 64)]
)
def test_a_value_that_does_not_fit_is_named_and_leaves_the_field_unset(field, value):
    message = api_pb2.LinuxCPU()
    with pytest.raises(LocalProtocolError, match=rf"LinuxCPU\.{field}.*Optional"):
        set_optional(message, field, value)
    assert not message.HasField(field)


@pytest.mark.parametrize(
    ("key", "expected"), [("-FOO", ("FOO", True)), ("FOO", ("FOO", False)), ("-", ("", True)), ("", ("", False))]
)
def test_removal_marker(key, expected):
    assert split_removal(key) == expected
    assert split_removal(removal(key)) == (key, True)
