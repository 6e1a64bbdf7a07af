"""What was written into files gets into the runtime's stored spec, by the route that is safe on this runtime, and stalls nobody.

The proof is kubelet's: an update of another file_value re-applies the whole stored spec, and by then the daemon is dead.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e import lab, pods
from tests.e2e.containerd import Containerd
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import RATIO_2
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
ASKED_US, HALVED_US = 80_000, 40_000
ROUTES = {
    "containerd-1.7": ("resync",),
    "containerd-2": ("reply", "unsolicited"),
    lab.CONTAINERD_2_4: ("unsolicited",),
}
"""Containerd → the route that is safe on it; Debian's containerd 2 will have the second one when it comes to 2.4."""


def written(kubelet: Kubelet, daemon: Daemon, containers: int = 1) -> list[Container]:
    """Running containers of which the quota was halved after their creation, in their files."""
    daemon.start()
    found = [pods.normalised(kubelet) for _ in range(containers)]
    daemon.policy_file.write_text(RATIO_2)
    for container in found:
        eventually(lambda c=container: kubelet.read(c, "cpu.quota") == HALVED_US, "the quota to be halved")  # type: ignore[misc]  # mypy knows no defaults of lambdas
    return found


def quota_after_kubelet_moves_the_cpuset(kubelet: Kubelet, daemon: Daemon, container: Container) -> int | str | None:
    """The daemon is dead; kubelet's static CPU manager moves the container; the runtime applies all that it has stored."""
    daemon.kill()
    kubelet.rewrite_cpuset(container, "0")
    assert kubelet.read(container, "cpu.cpus") == "0"
    return kubelet.read(container, "cpu.quota")


def test_what_was_written_and_never_recorded_does_not_survive_an_update(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    """Else the next test would prove nothing."""
    daemon = new_daemon(arguments=["--record-route", "none"])
    [container] = written(kubelet, daemon)
    eventually(lambda: daemon.metric("koordnri_unrecorded_containers") == 1, "one container written, not recorded")
    assert quota_after_kubelet_moves_the_cpuset(kubelet, daemon, container) == ASKED_US


def test_what_was_recorded_survives_an_update(kubelet: Kubelet, new_daemon: NewDaemon, runtime: Containerd) -> None:
    daemon = new_daemon()
    container, *others = written(kubelet, daemon, containers=3)

    def recorded() -> bool:
        if daemon.metric("koordnri_record_route_info", route="reply"):
            pods.plain(kubelet)  # where only replies record, somebody must come by
        return daemon.metric("koordnri_unrecorded_containers") == 0

    eventually(recorded, "everything to be recorded")
    pushes = [daemon.metric("koordnri_pushes_total", route=r, outcome="recorded") for r in ROUTES[runtime.name]]
    assert sum(pushes) == 3
    assert quota_after_kubelet_moves_the_cpuset(kubelet, daemon, container) == HALVED_US
    assert {kubelet.read(other, "cpu.quota") for other in others} == {HALVED_US}


@pytest.mark.full  # half a minute
@pytest.mark.parametrize("route", ["resync", "reply"])
def test_a_route_that_is_asked_for_is_taken(kubelet: Kubelet, new_daemon: NewDaemon, route: str) -> None:
    daemon = new_daemon(arguments=["--record-route", route])
    [container] = written(kubelet, daemon)

    def recorded() -> bool:
        if route == "reply":
            pods.plain(kubelet)
        return daemon.metric("koordnri_pushes_total", route=route, outcome="recorded") >= 1

    eventually(recorded, f"a push by {route}")
    assert daemon.metric("koordnri_registrations_total") == 1, "our own registration stays as it is"
    assert quota_after_kubelet_moves_the_cpuset(kubelet, daemon, container) == HALVED_US


def test_after_a_restart_a_recorded_value_is_known_for_ours(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon(arguments=["--record-route", "resync"])
    [container] = written(kubelet, daemon)
    eventually(lambda: daemon.metric("koordnri_unrecorded_containers") == 0, "the value to be recorded")
    daemon.kill()
    daemon.policy_file.write_text("{}\n")

    daemon.start()

    eventually(lambda: kubelet.read(container, "cpu.quota") == ASKED_US, "the quota that kubelet asked for")
    kubelet.rewrite_cpuset(container, "0")
    assert kubelet.read(container, "cpu.quota") == ASKED_US
