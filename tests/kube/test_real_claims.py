"""ResourceClaims of a real API server, read by the daemon's own rights. No scheduler or driver is here: the test writes the status."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.kube import ApiRefused, connect
from koordnri.kube.claims import ClaimReader
from tests.kube.api_server import DAEMON, STRANGER, Json
from tests.kube.control_plane import ControlPlane
from tests.kube.rights import Deployed

pytestmark = [pytest.mark.e2e, pytest.mark.full]


def allocated(plane: ControlPlane, namespace: str, name: str, *devices: tuple[str, str]) -> None:
    """A claim with these (driver, device)."""
    path = f"/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims"
    requests = [{"name": "cpus", "exactly": {"deviceClassName": "dra.cpu", "allocationMode": "All"}}]
    plane.create(path, {"metadata": {"name": name}, "spec": {"devices": {"requests": requests}}})
    results = [{"request": "cpus", "driver": driver, "pool": "node", "device": device} for driver, device in devices]
    status: Json = {"allocation": {"devices": {"results": results}}}
    plane.patch(f"{path}/{name}/status", {"status": status})


def test_the_devices_of_claims_are_counted_by_their_driver(
    plane: ControlPlane, deployed: Deployed, namespace: str, tmp_path: Path
) -> None:
    allocated(plane, namespace, "four", *(("dra.cpu", f"cpudev{number}") for number in range(4)))
    allocated(plane, namespace, "one", ("gpu.example.com", "gpu-0"))
    reader = ClaimReader(connect(plane.kubeconfig(tmp_path, DAEMON)))
    assert reader.cpus_by_driver(namespace, ["four", "one", "absent"]) == {"dra.cpu": 4, "gpu.example.com": 1}


def test_claims_that_may_not_be_read_are_an_error(plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    allocated(plane, namespace, "four", ("dra.cpu", "cpudev0"))
    with pytest.raises(ApiRefused, match="403"):
        ClaimReader(connect(plane.kubeconfig(tmp_path, STRANGER))).cpus_by_driver(namespace, ["four"])
