"""Errors in the words of a real runtime."""

import pytest

from koordnri.runtime.errors import PeerGone, Undecodable, status_text
from koordnri.wire.errors import RemoteStatus


@pytest.mark.parametrize(
    ("code", "name"),
    [(2, "Unknown"), (3, "InvalidArgument"), (12, "Unimplemented"), (8, "ResourceExhausted"), (99, "Code(99)")],
)
def test_a_status_reads_as_go_prints_it(code: int, name: str) -> None:
    assert (
        status_text(RemoteStatus(code, "not today", "CreateContainer")) == f"rpc error: code = {name} desc = not today"
    )


def test_what_cannot_be_decoded_is_no_status() -> None:
    status = Undecodable(13, "the bytes", "CreateContainer")
    assert status_text(status) == "proto: cannot parse invalid wire-format data"


def test_no_answer_has_one_of_two_causes() -> None:
    assert PeerGone("CreateContainer: late", late=True).cause == "context deadline exceeded"
    assert PeerGone("CreateContainer: gone").cause == "ttrpc: closed"
