"""The runtime's default validator requires koordnri: of one pod by its annotation, of all by the runtime's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml

from koordnri.doctor.checks.validator import TOLERATION
from tests.e2e import lab
from tests.e2e.containerd import Containerd
from tests.e2e.crio import CRIO
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet

# Only `make test-full` has this containerd.
pytestmark = pytest.mark.full

RUNTIMES = (lab.CONTAINERD_2_4, lab.CRIO)
"""the laboratory's runtimes with a validator"""
PER_POD = {"required-plugins.noderesource.dev": '["koordnri"]'}
VALIDATOR = {
    lab.CONTAINERD_2_4: """
[plugins."io.containerd.nri.v1.nri".default_validator]
  enable = true
  required_plugins = [{required}]
  tolerate_missing_plugins_annotation = "{toleration}"
""",
    lab.CRIO: """
[crio.nri.default_validator]
nri_enable_default_validator = true
nri_validator_required_plugins = [{required}]
nri_validator_tolerate_missing_plugins_annotation = "{toleration}"
""",
}
"""Runtime → what docs/use/require.md names for it."""
MISSING = 'validation error: required plugin "koordnri" not present'


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Iterator[Containerd | CRIO]:
    """A runtime of this file's own, which is restarted with other settings."""
    if reason := lab.lacks(request.param):
        pytest.skip(reason)
    from tests.e2e.running import running

    with running(request.param) as own:
        yield own


def with_validator(runtime: Containerd | CRIO, *required: str) -> None:
    """Start it again with a validator that requires these plugins of every container."""
    names = ", ".join(f'"{name}"' for name in required)
    runtime.configure(VALIDATOR[runtime.name].format(required=names, toleration=TOLERATION))
    runtime.restart()


def refused(kubelet: Kubelet, annotations: dict[str, str] | None = None) -> bool:
    """Whether a container of a new pod is refused for want of koordnri."""
    pod = kubelet.run_pod(annotations=annotations or {})
    try:
        kubelet.run_container(pod)
    except grpc.RpcError as error:
        if MISSING not in str(error):
            raise
        return True
    return False


def own_annotations() -> dict[str, str]:
    """Those of our own pod in the manifests."""
    manifest = yaml.safe_load((lab.ROOT / "deploy/base/daemonset.yaml").read_text())
    annotations: dict[str, str] = manifest["spec"]["template"]["metadata"]["annotations"]
    return annotations


def test_a_container_is_refused_without_koordnri_where_its_pod_or_the_runtime_requires_it(
    runtime: Containerd | CRIO, kubelet: Kubelet, tmp_path: Path
) -> None:
    daemon = Daemon(runtime.nri_socket, tmp_path)
    with_validator(runtime)
    assert not refused(kubelet)
    assert refused(kubelet, PER_POD)

    with_validator(runtime, "koordnri")
    assert refused(kubelet)
    # The node can start koordnri, whose own pod does not need it.
    assert not refused(kubelet, own_annotations())
    daemon.start()
    try:
        assert not refused(kubelet)
        daemon.kill()
        assert refused(kubelet)
        daemon.start()
        assert not refused(kubelet, PER_POD)
    finally:
        daemon.stop()
