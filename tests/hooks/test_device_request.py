"""Whether a pod's spec requests the devices that its annotation names."""

from __future__ import annotations

import pytest
from koordnri_hooks.device_request import why_not_requested

from koordnri.model.pod import ContainerSpec, PodSpec
from tests.support.pods import pod

DOMAINS = ("nvidia.com",)


def why_not(requests: dict[str, str] | None, limits: dict[str, str] | None = None) -> str:
    spec = None if requests is None else PodSpec({"main": ContainerSpec(requests, limits or {})})
    return why_not_requested(pod(spec=spec), "gpu", DOMAINS)


@pytest.mark.parametrize(
    "requests",
    [{"koordinator.sh/gpu": "1"}, {"koordinator.sh/gpu-core": "50"}, {"koordinator.sh/gpu.shared": "1"}, {"nvidia.com/gpu": "1"}],
)  # fmt: skip
def test_a_request_or_a_limit_will_do(requests: dict[str, str]) -> None:
    assert why_not(requests) == why_not({}, requests) == ""


@pytest.mark.parametrize(
    "requests",
    [{}, {"cpu": "1"}, {"koordinator.sh/gpu": "0"}, {"koordinator.sh/gpux": "1"}, {"nvidia.com/": "1"}, {"nvidia.com/gpu": "x"}],
)  # fmt: skip
def test_anything_else_is_no_request(requests: dict[str, str]) -> None:
    assert why_not(requests).startswith("the pod's spec requests no koordinator.sh/gpu, ")


def test_a_spec_that_is_not_known_requests_nothing() -> None:
    assert why_not(None).startswith("the pod's spec, which only the API server has, is not known, ")
