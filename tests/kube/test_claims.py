"""What a pod's ResourceClaims were given, by their status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.kube import ApiRefused, Garbled, connect
from koordnri.kube.claims import MOST_CLAIMS, ClaimReader
from tests.kube.fake_api import Answer, FakeApi, status, whole
from tests.kube.watched import write_kubeconfig


def result(driver: str, **capacity: str) -> dict[str, Any]:
    return {"driver": driver, "device": "d", **({"consumedCapacity": capacity} if capacity else {})}


def claim(*results: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "ResourceClaim", "status": {"allocation": {"devices": {"results": list(results)}}}}


class FakeClaims(FakeApi):
    """`version` is the only one that the server knows."""

    version = "v1"

    def __init__(self) -> None:
        super().__init__()
        self.claims: dict[str, Any] = {}
        """name → object, or an Answer"""

    def __enter__(self) -> FakeClaims:
        super().__enter__()
        self.answer(lambda handler: handler[lambda request: "/resourceclaims/" in request.url.path], self._answer)
        return self

    def _answer(self) -> Answer:
        path = self.requests.items[-1].path
        name = path.rpartition("/")[2]
        if not path.startswith(f"/apis/resource.k8s.io/{self.version}/namespaces/shop/") or name not in self.claims:
            return status(404, "the server could not find the requested resource")
        found = self.claims[name]
        return (
            whole(200, json.dumps(found).encode(), Content_Type="application/json")
            if isinstance(found, dict)
            else found
        )


@pytest.fixture
def cluster() -> Iterator[FakeClaims]:
    with FakeClaims() as server:
        yield server


@pytest.fixture
def reader(cluster: FakeClaims, tmp_path: Path) -> ClaimReader:
    return ClaimReader(connect(write_kubeconfig(tmp_path, cluster.url)))


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({"a": claim(result("dra.cpu"), result("dra.cpu"))}, {"dra.cpu": 2}),
        ({"a": claim(result("dra.cpu", **{"dra.cpu/cpu": "10"}))}, {"dra.cpu": 10}),
        ({"a": claim(result("dra.cpu", **{"dra.cpu/cpu": "4"})), "b": claim(result("gpu"))}, {"dra.cpu": 4, "gpu": 1}),
        ({"a": claim(result("net", **{"net/bandwidth": "10G"}))}, {"net": 1}),
        ({"a": claim(result("x", **{"x/cpu": "-5"}), result("y", **{"y/cpu": "many"}))}, {"x": 1, "y": 1}),
        ({"a": {"kind": "ResourceClaim", "status": {}}}, {}),
        ({"a": {"kind": "ResourceClaim"}}, {}),
        ({"a": {"kind": "ResourceClaim", "status": {"allocation": {"devices": {}}}}}, {}),
        ({}, {}),
    ],
)  # fmt: skip
def test_cpus_are_counted_by_the_driver_that_gave_them(
    cluster: FakeClaims, reader: ClaimReader, claims: dict[str, Any], found: dict[str, int]
) -> None:
    cluster.claims = claims
    assert reader.cpus_by_driver("shop", ["a", "b"]) == found


def test_an_older_server_is_asked_in_its_version_and_then_no_other(cluster: FakeClaims, reader: ClaimReader) -> None:
    cluster.version, cluster.claims = "v1beta1", {"a": claim(result("dra.cpu"))}
    assert reader.cpus_by_driver("shop", ["a"]) == reader.cpus_by_driver("shop", ["a"]) == {"dra.cpu": 1}
    assert [request.path.split("/")[3] for request in cluster.requests.items] == ["v1", "v1beta2", "v1beta1", "v1beta1"]


def test_without_the_right_or_with_another_answer_it_is_an_error(cluster: FakeClaims, reader: ClaimReader) -> None:
    cluster.claims = {"a": status(403, "forbidden"), "b": whole(200, b"<html>")}
    with pytest.raises(ApiRefused, match="forbidden"):
        reader.cpus_by_driver("shop", ["a"])
    with pytest.raises(Garbled, match="expected a ResourceClaim"):
        reader.cpus_by_driver("shop", ["b"])


def test_of_a_pod_with_a_thousand_claims_the_first_are_read(cluster: FakeClaims, reader: ClaimReader) -> None:
    cluster.claims = {f"c{i}": claim(result("dra.cpu")) for i in range(1000)}
    assert reader.cpus_by_driver("shop", [*cluster.claims]) == {"dra.cpu": MOST_CLAIMS}
