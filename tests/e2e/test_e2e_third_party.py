"""A third party's hook, found on PYTHONPATH as an installed distribution: it may be slow, and only it pays for that."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet

HOOK = """
import time

from koordnri.hook import Hook


class Sleeper(Hook):
    name = "sleeper"
    order = {order}
    owns = ()

    def decide(self, ctx):
        if "sleeper.test/sleep" in ctx.pod.labels:
            time.sleep(5)
"""
ENTRY_POINTS = "[koordnri.hooks]\nsleeper = sleeper_hook:Sleeper\n"
METADATA = "Metadata-Version: 2.1\nName: sleeper-hook\nVersion: 1.0\n"


def distribution(directory: Path, order: int) -> Path:
    """A directory that looks as if pip had installed the hook into it."""
    information = directory / "sleeper_hook-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(METADATA)
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    (directory / "sleeper_hook.py").write_text(HOOK.format(order=order))
    return directory


def test_a_hook_that_blocks_costs_neither_the_other_hooks_fields_nor_the_registration(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = new_daemon(python_path=[distribution(tmp_path / "site", order=900)])
    daemon.start()
    pod = kubelet.run_pod(
        qos="Guaranteed",
        labels={pods.QOS_CLASS: "LSR", "sleeper.test/sleep": ""},
        annotations={pods.RESOURCE_STATUS: '{"cpuset": "1"}', **pods.gpus(1)},
    )

    # A reply that comes after the runtime's 2 s is dropped with the connection: the fields prove that it came in time.
    blocked = kubelet.run_container(pod, cpu_request_m=1000, cpu_limit_m=1000)
    # While that hook still sleeps.
    other = pods.pinned(kubelet)

    pods.check_pinned(kubelet, blocked)
    assert kubelet.environment(blocked)["NVIDIA_VISIBLE_DEVICES"] == "1"
    pods.check_pinned(kubelet, other)
    assert daemon.metric("koordnri_chain_overruns_total") >= 1
    assert daemon.metric("koordnri_registrations_total") == 1
    assert daemon.ready()


@pytest.mark.parametrize("order", [1, 900])
def test_an_idle_third_party_hook_changes_nothing(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon], tmp_path: Path, order: int
) -> None:
    daemon = new_daemon(python_path=[distribution(tmp_path / "site", order)])
    daemon.start()

    pods.check_pinned(kubelet, pods.pinned(kubelet))
    assert daemon.metric("koordnri_chain_overruns_total") == 0
    assert daemon.metric("koordnri_registrations_total") == 1
