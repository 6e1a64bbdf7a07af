"""The policy file of a running daemon: a bad one keeps it unready, and costs no container anything."""

from collections.abc import Callable

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet


def test_a_bad_policy_keeps_the_daemon_unready_and_the_containers_decided(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon]
) -> None:
    bad = 'resource-qos-config: \'{"clusterStrategy": {"beClass": {"memoryQOS": {"minLimitPercent": 250}}}}\'\n'
    daemon = new_daemon(policy=bad)
    daemon.start(wait=False)
    daemon.wait_registrations(1)

    assert not daemon.ready()
    pods.check_pinned(kubelet, pods.pinned(kubelet))

    daemon.policy_file.write_text(bad.replace("250", "50"))
    daemon.wait_ready()
