"""Refusals of the API server: which concern one pod, and which all."""

from __future__ import annotations

import pytest

from koordnri.cli.verify_rights import VerifyError, refused_create
from koordnri.kube import ApiRefused

WHO = "system:serviceaccount:koordnri-system:koordnri"


def refused(status: int, message: str) -> ApiRefused:
    return ApiRefused("POST /x", status, message)


@pytest.mark.parametrize(
    "one",
    [
        refused(403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'),
        refused(422, "spec.containers[0].image: Required value"),
        refused(400, 'admission webhook "vpod.koordinator.sh" denied the request'),
    ],
)
def test_an_admission_concerns_one_pod(one: ApiRefused) -> None:
    assert refused_create(one, "n") == f"the API server refuses it: {one.message}"


def test_a_missing_right_concerns_all_and_comes_with_the_switch_that_grants_it() -> None:
    with pytest.raises(VerifyError, match=r"apiAccess\.verify=true, or the component deploy/verify"):
        refused_create(refused(403, f'pods is forbidden: User "{WHO}" cannot create resource "pods"'), "n")


def test_so_does_a_missing_namespace() -> None:
    with pytest.raises(VerifyError, match="namespace n does not exist"):
        refused_create(refused(404, 'namespaces "n" not found'), "n")


def test_bad_credentials_are_the_api_servers_refusal() -> None:
    with pytest.raises(ApiRefused, match="401: Unauthorized"):
        refused_create(refused(401, "Unauthorized"), "n")
