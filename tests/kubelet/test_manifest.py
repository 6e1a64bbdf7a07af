"""A Pod manifest, and its mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kubelet.simulated import bad, resources


@pytest.mark.parametrize(
    ("spec", "mistakes"),
    [
        ({}, ["spec.containers: expected a value, it is missing"]),
        ({"containers": []}, ["spec.containers: expected at least one container, got none"]),
        ({"containers": [{}]}, ["spec.containers[0].name: expected a value, it is missing"]),
        (
            {"containers": [{"name": "a"}], "initContainers": [{"name": "a"}]},
            ['spec.containers[0].name: a second container of the name "a"'],
        ),
        (
            {"containers": [{"name": "a", "resources": resources({"cpu": "2x"}, {"memory": []})}]},
            [
                'spec.containers[0].resources.requests.cpu: expected a quantity such as 500m, 2 or 1Gi, got "2x"',
                "spec.containers[0].resources.limits.memory: expected a quantity such as 500m, 2 or 1Gi, got []",
            ],
        ),
        (
            {"containers": [{"name": "a", "resources": resources({"cpu": "-1", "memory": "9E"}, {"cpu": "2M"})}]},
            [
                'spec.containers[0].resources.requests.cpu: expected a quantity of 0 or more, got "-1"',
                'spec.containers[0].resources.limits.cpu: expected a quantity up to 1000000, got "2M"',
            ],
        ),
        (
            {"containers": [{"name": "a", "env": [{"name": "A", "value": 1}]}]},
            ["spec.containers[0].env[0].value: expected text, got 1"],
        ),
        (
            {"containers": [{"name": "a"}], "overhead": {"cpu": True}},
            ["spec.overhead.cpu: expected a quantity such as 500m, 2 or 1Gi, got true"],
        ),
    ],
)
def test_mistakes(spec: dict[str, Any], mistakes: list[str]) -> None:
    assert bad(spec) == mistakes
