"""What a runtime says of itself, and what is assumed where it says nothing."""

from __future__ import annotations

import pytest

from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import OLDEST, Version


@pytest.mark.parametrize(
    ("sent_ms", "left_ns", "timeout_s"),
    [(2000, 1_999_904_303, 2.0), (60_000, 0, 60.0), (0, 1_500_000_000, 1.5), (0, 0, 2.0), (-5, 0, 2.0), (0, -5, 2.0)],
)
def test_the_request_timeout_is_the_one_sent_else_what_was_left_of_it_else_the_default(sent_ms, left_ns, timeout_s):
    message = api.ConfigureRequest(request_timeout=sent_ms)
    assert RuntimeInfo.of(message, left_ns).request_timeout_s == pytest.approx(timeout_s)


@pytest.mark.parametrize(
    ("message", "nri"),
    [
        (api.ConfigureRequest(runtime_name="containerd", runtime_version="v1.7.25"), Version(0, 6, 1)),
        (api.ConfigureRequest(runtime_name="v2", runtime_version="v2.0.5"), Version(0, 8, 0)),
        (api.ConfigureRequest(runtime_name="cri-o", runtime_version="1.34.2"), Version(0, 10, 0)),
        (api.ConfigureRequest(runtime_name="x", NRI_version="v0.12.1"), Version(0, 12, 1)),
        (api.ConfigureRequest(), OLDEST),
    ],
)
def test_the_nri_version_follows_from_what_is_reported(message, nri):
    info = RuntimeInfo.of(message)
    assert (info.name, info.version, info.nri) == (message.runtime_name, message.runtime_version, nri)


def test_before_configure_the_least_is_assumed():
    assert RuntimeInfo() == RuntimeInfo("", "", OLDEST, 2.0)


def test_crio_is_sent_no_negative_memory_limit() -> None:
    assert RuntimeInfo("cri-o", "1.33.13").no_limit_bytes == 0x7FFFFFFFFFFFF000
    assert RuntimeInfo("containerd", "v2.1.9").no_limit_bytes == -1
