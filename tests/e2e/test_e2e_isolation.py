"""`koordnri bench --part isolation` on a real containerd. What the figures are is not tested, but that each arm is what it says."""

import json
import os

import pytest

from tests.e2e import command, lab
from tests.e2e.containerd import Containerd
from tests.e2e.kubelet import Kubelet

pytestmark = pytest.mark.full


def test_each_arm_of_a_design_is_measured(runtime: Containerd, kubelet: Kubelet) -> None:
    where = ["--runtime-endpoint", str(runtime.socket), "--nri-socket", str(runtime.nri_socket), "--image", lab.IMAGE]
    done = command.run(
        ["bench", "--part", "isolation", "--design", "D1", "--rounds", "1", "--seconds", "0.5", "-o", "json", *where],
        dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    arms = json.loads(done.stdout)["isolation"]["designs"]["D1"]["arms"]
    assert list(arms) == ["alone", "none", "shares 2", "BE idle", "suppress", "exclusive CPUs"]
    for name, figures in arms.items():
        assert 0 < figures["p50_ms"]["median"] <= figures["p99_ms"]["median"] <= figures["p99.9_ms"]["median"]
        assert ("batch_cpu_s" in figures) == (name != "alone")
    assert not kubelet.cri.call("ListPodSandbox").items
