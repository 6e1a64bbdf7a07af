"""Which restart an error of the API server stands for: the metric's label, and what the watch does next."""

from __future__ import annotations

import pytest

from koordnri.kube.errors import ApiRefused, Disconnected, Garbled, KubeError, NotConfigured, Silent, Unreachable
from koordnri.kube.restart import Restart, restart_of


def refused(status: int, retry_after_s: float | None = None) -> ApiRefused:
    return ApiRefused("GET /x", status, "no", retry_after_s)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refused(410), Restart.EXPIRED),
        (refused(401), Restart.UNAUTHORIZED),
        (refused(403), Restart.FORBIDDEN),
        (refused(404), Restart.ABSENT),
        (refused(429), Restart.THROTTLED),
        (refused(503, 1.0), Restart.THROTTLED),
        (refused(500), Restart.REFUSED),
        (Unreachable("x"), Restart.UNREACHABLE),
        (Silent("x"), Restart.SILENT),
        (Disconnected("x"), Restart.DISCONNECTED),
        (Garbled("x"), Restart.GARBLED),
        (NotConfigured("x"), Restart.CREDENTIALS),
    ],
)
def test_every_error_has_one(error: KubeError, expected: Restart) -> None:
    assert restart_of(error) is expected
