"""Whoever dies, the containers go on, and what is decided about them stays the same."""

from collections.abc import Callable

from tests.e2e import pods
from tests.e2e.containerd import Containerd
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]


def corrected(check: Callable[[Kubelet, Container], None], kubelet: Kubelet, container: Container) -> None:
    """Wait until `check` passes: what differs at Synchronize is put right after the daemon is ready."""

    def passes() -> bool:
        check(kubelet, container)
        return True

    eventually(passes, f"{check.__name__} of {container.name}")


def test_a_daemon_that_starts_late_corrects_the_containers_that_run(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    pinned, batch, plain = pods.pinned(kubelet), pods.batch(kubelet), pods.plain(kubelet)
    assert kubelet.read(pinned, "cpu.quota") == 100_000
    assert kubelet.read(batch, "memory.limit") == pods.UNLIMITED

    new_daemon().start()

    corrected(pods.check_pinned, kubelet, pinned)
    corrected(pods.check_batch, kubelet, batch)
    assert kubelet.reads(plain, "cpu.quota", "memory.limit") == {"cpu.quota": 50_000, "memory.limit": 64 * pods.MIB}


def test_a_daemon_that_starts_before_the_runtime_waits_for_it(
    kubelet: Kubelet, runtime: Containerd, new_daemon: NewDaemon
) -> None:
    runtime.kill()
    daemon = new_daemon()
    daemon.start(wait=False)
    eventually(daemon.listening, "koordnri answers /healthz")
    assert not daemon.ready()

    runtime.start()

    daemon.wait_ready()
    pods.check_pinned(kubelet, pods.pinned(kubelet))


def test_the_daemon_comes_back_to_a_restarted_runtime(
    kubelet: Kubelet, runtime: Containerd, own_daemon: Daemon
) -> None:
    pinned, batch = pods.pinned(kubelet), pods.batch(kubelet)
    pid = own_daemon.pid

    runtime.restart()
    own_daemon.wait_registrations(2)
    own_daemon.wait_ready()

    assert own_daemon.pid == pid
    pods.check_pinned(kubelet, pinned)
    pods.check_batch(kubelet, batch)
    pods.check_pinned(kubelet, pods.pinned(kubelet))
    pods.check_batch(kubelet, pods.batch(kubelet))


def test_a_killed_daemon_leaves_the_containers_alone_and_returns_to_the_same_decisions(
    kubelet: Kubelet, own_daemon: Daemon
) -> None:
    pinned, batch = pods.pinned(kubelet), pods.batch(kubelet)
    pids = [kubelet.pid(container) for container in (pinned, batch)]

    own_daemon.kill()
    pods.check_pinned(kubelet, pinned)
    pods.check_batch(kubelet, batch)

    own_daemon.start()
    pods.check_pinned(kubelet, pinned)
    pods.check_batch(kubelet, batch)
    assert [kubelet.pid(container) for container in (pinned, batch)] == pids

    kubelet.rewrite_cpuset(pinned, "0")
    pods.check_pinned(kubelet, pinned)
    pods.check_pinned(kubelet, pods.pinned(kubelet))


def test_a_restarted_daemon_decides_from_what_kubelet_asked_and_does_not_scale_twice(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon(policy=pods.RATIO_2)
    daemon.start()
    untouched, resized = pods.normalised(kubelet), pods.normalised(kubelet)
    kubelet.resize(resized, cpu_request_m=400, cpu_limit_m=1600)
    assert kubelet.read(untouched, "cpu.quota") == 40_000
    assert kubelet.read(resized, "cpu.quota") == 80_000
    # Its main thread saves what kubelet asked soon after the reply; killed within those milliseconds, it would not know of the resize.
    notes = daemon.state_dir / "notes.json"
    eventually(lambda: notes.exists() and "160000" in notes.read_text(), "the resize to be saved")

    daemon.restart()

    # An update of something else makes the daemon decide everything again: 20000 or 40000 here would be a quota
    # that was halved twice, or one decided from what kubelet asked before the resize.
    for container, quota_us in ((untouched, 40_000), (resized, 80_000)):
        kubelet.rewrite_cpuset(container, "0-1")
        assert kubelet.read(container, "cpu.quota") == quota_us


def test_sigterm_ends_the_daemon_cleanly_and_changes_no_container(kubelet: Kubelet, own_daemon: Daemon) -> None:
    pinned, batch = pods.pinned(kubelet), pods.batch(kubelet)

    assert own_daemon.terminate() == 0

    pods.check_pinned(kubelet, pinned)
    pods.check_batch(kubelet, batch)
    # The runtime lost a plugin, not its wits.
    plain = pods.plain(kubelet)
    assert kubelet.read(plain, "cpu.quota") == 50_000
