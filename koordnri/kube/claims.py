"""Reads how many CPUs the drivers of dynamic resource allocation gave to a pod's ResourceClaims.

Whoever may create pods may create claims, too, and write any environment. Only the scheduler and the drivers write a claim's status. RBAC:
verb get on resourceclaims. The claims of other pods are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

import msgspec

from koordnri.kube.api import Api
from koordnri.kube.errors import ApiRefused, Garbled, excerpt
from koordnri.kube.objects import DECODE_ERRORS
from koordnri.model.quantity import quantity_value

VERSIONS = ("v1", "v1beta2", "v1beta1")
"""of the group resource.k8s.io: Kubernetes 1.34, 1.33, 1.32"""
MOST_CLAIMS = 32
"""Most claims of a pod that are read; each is one request."""
_ANSWER_S = 3.0
_NOT_FOUND = 404


class _Result(msgspec.Struct, rename="camel"):
    driver: str = ""
    consumed_capacity: dict[str, str | int | float] | None = None
    """only where several claims share a device (KEP-5075)"""


class _Devices(msgspec.Struct):
    results: list[_Result] | None = None


class _Allocation(msgspec.Struct):
    devices: _Devices | None = None


class _Status(msgspec.Struct):
    allocation: _Allocation | None = None


class _Claim(msgspec.Struct):
    kind: str
    status: _Status | None = None


_decode = msgspec.json.Decoder(_Claim).decode


class ClaimReader:
    """For one thread at a time."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._versions: tuple[str, ...] = VERSIONS

    def cpus_by_driver(self, namespace: str, names: Iterable[str]) -> dict[str, int]:
        """Driver → how many CPUs its devices in these claims stand for: a device's consumed capacity of `…/cpu`, else one each.

        A claim that does not exist, or is not allocated, has no devices. Raises KubeError.
        """
        found: dict[str, int] = {}
        for name in list(names)[:MOST_CLAIMS]:
            for result in self._results(namespace, name):
                found[result.driver] = found.get(result.driver, 0) + _cpus(result.consumed_capacity or {})
        return found

    def _results(self, namespace: str, name: str) -> list[_Result]:
        for version in self._versions:
            what = f"namespaces/{quote(namespace, safe='')}/resourceclaims/{quote(name, safe='')}"
            path = f"/apis/resource.k8s.io/{version}/{what}"
            try:
                with self._api.open("GET", path, connect_s=_ANSWER_S, read_s=_ANSWER_S) as reply:
                    body = reply.read(within_s=_ANSWER_S)
            except ApiRefused as refused:
                if refused.status != _NOT_FOUND:
                    raise
                continue  # this version, or the claim
            self._versions = (version,)
            try:
                claim = _decode(body)
            except DECODE_ERRORS as error:
                raise Garbled(f"GET {path}: expected a ResourceClaim, got {excerpt(body)!r}: {error}") from None
            allocation = None if claim.status is None else claim.status.allocation
            return (allocation.devices.results or []) if allocation is not None and allocation.devices else []
        return []


def _cpus(capacity: Mapping[str, str | int | float]) -> int:
    try:
        return sum(max(quantity_value(amount), 0) for key, amount in capacity.items() if key.endswith("/cpu")) or 1
    except ValueError:  # the API server accepts none
        return 1
