"""Errors say whose fault it is and what happened."""

from __future__ import annotations

import grpc
import pytest

from koordnri.wire.errors import Code, LocalProtocolError, MessageTooLarge, RemoteStatus


def test_codes_are_grpcs():
    assert {code.name.replace("CANCELED", "CANCELLED"): code.value for code in Code} == {
        code.name: code.value[0] for code in grpc.StatusCode
    }


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RemoteStatus(2, "no such plugin", "RegisterPlugin"), "RegisterPlugin failed: no such plugin (UNKNOWN, 2)"),
        (RemoteStatus(99, "", "Configure"), "Configure failed: no text (unknown code, 99)"),
        (RemoteStatus(12, "method X"), "call failed: method X (UNIMPLEMENTED, 12)"),
    ],
)
def test_a_remote_status_reads_well(error, text):
    assert str(error) == text


def test_a_message_too_large_is_our_fault_and_has_the_code_to_answer_with():
    assert issubclass(MessageTooLarge, LocalProtocolError)
    assert MessageTooLarge.code is Code.RESOURCE_EXHAUSTED
    assert LocalProtocolError.code is Code.INTERNAL
