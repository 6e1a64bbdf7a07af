"""By whom a value was overwritten, as far as the value shows."""

from __future__ import annotations

from tests.reconcile.fake_node import HALVED, busy_node
from tests.reconcile.watched_node import watched


def test_the_value_found_shows_who_wrote_it():
    it = watched(busy_node(2, HALVED))  # created so: that is what the runtime has stored
    it.node.set_policy(cpu_normalization_config={"enable": True, "defaultRatio": 5.0})
    it.node.run_pass()
    it.heal()
    for path, quota in (
        ("kubepods/burstable/plain", 75_000),  # as kubelet set it
        ("kubepods/burstable/plain/plain-main", 25_000),  # as the runtime stored it
        ("kubepods/besteffort/batch/batch-main", None),  # as kubelet asked for it
        ("kubepods/burstable/shared/shared-main", 123_000),
    ):
        it.node.kernel.cgroups[path].quota = quota
        it.wrote(path)
    it.heal()
    assert it.reconciler.undone.counts == {("cpu.quota", by): 1 for by in ("systemd", "runtime", "kubelet", "unknown")}
    lines = [call.kwargs for call in it.node.log.calls if call.args == ("drift_healed",)]
    [unknown] = [line for line in lines if line["by"] == "unknown"]
    assert unknown == {
        "field": "cpu.quota",
        "by": "unknown",
        "files": 1,
        "times": 1,
        "directory": "kubepods/burstable/shared/shared-main",
        "found": 123_000,
        "wanted": 20_000,
    }
