"""What `koordnri diff --live` reports is what happens to the files, no more and no less; `koordnri release` brings all of them back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.e2e import command, pods
from tests.e2e.cgroups import shares_to_weights
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import MIB, RATIO_2
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
Files = dict[tuple[str, str], dict[str, str]]
"""(pod, container or "" for the pod's own cgroup or SANDBOX) → name of a file → its text"""
SANDBOX = "(sandbox)"

POLICIES = (
    # Quotas get smaller, and pinned containers are not pinned any more.
    'cpu-normalization-config: {"enable": true, "defaultRatio": 4.0}\nkoordnri-config: {"hooks": {"cpuset": {"mode": "off"}}}\n',
    # Quotas and limits go back to kubelet's, pinned containers to their CPUs.
    'koordnri-config: {"hooks": {"cfs_quota": {"mode": "observe"}, "memory": {"mode": "off"}}}\n',
    # And there again.
    RATIO_2,
)
FILE = {
    "cpu.quota": ("cpu.cfs_quota_us", "cpu.max"),
    "cpu.shares": ("cpu.shares", "cpu.weight"),
    "cpu.cpus": ("cpuset.cpus", "cpuset.cpus"),
    "memory.limit": ("memory.limit_in_bytes", "memory.max"),
}
"""Field → its file on v1 and on v2."""
READ_BPS = 1 << 40
"""So much that nobody is slowed down by it."""
COMPANIONS = {"memory.limit_in_bytes": "memory.memsw.limit_in_bytes"}
"""The limit with swap may not be below the one without."""
OTHERS = ("cgroup.procs", "cgroup.threads", "tasks", "cpu.weight.nice", "memory.swap.max")
"""Files that are no settings of their own; and swap on v2, which the runtime takes away with a container's first limit and nobody
gives back: koordnri has no field for it."""
WEIGHTS = {str(w): f"{s} shares" for s in (2, 204, 256, 409, 512, 1024) for w in shares_to_weights(s)}
"""cpu.weight of v2: runc since 1.3.2 makes another one of the same shares than koordnri (and runc before) does."""
COUNTS = ("usage", "failcnt", "peak", "pressure", "stat", "events")
"""In names of files that can be written, to reset a counter."""


def koordnri(daemon: Daemon, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A command that asks the daemon."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    return command.run([*map(str, arguments), "--state-dir", str(daemon.state_dir)], environment, stdin)


def run_pods(kubelet: Kubelet) -> list[Container]:
    """One pod of every kind, and one with two containers under a limit of its own."""
    both = kubelet.run_pod(cpu_request_m=400, cpu_limit_m=800, memory_limit=96 * MIB)
    return [
        pods.pinned(kubelet),
        pods.batch(kubelet),
        pods.plain(kubelet),
        pods.normalised(kubelet),
        kubelet.run_container(both, "one", cpu_request_m=200, cpu_limit_m=400, memory_limit=32 * MIB),
        kubelet.run_container(both, "two", cpu_request_m=200, cpu_limit_m=400, memory_limit=64 * MIB),
    ]


def directories(kubelet: Kubelet, containers: Iterable[Container]) -> dict[tuple[str, str], dict[str, Path]]:
    """Of containers, of their pods and of those's sandboxes, by controller."""
    found = {}
    for container in containers:
        own = kubelet.cgroups.of(kubelet.pid(container))
        found[container.pod.name, container.name] = own
        found[container.pod.name, ""] = {controller: path.parent for controller, path in own.items()}
        found[container.pod.name, SANDBOX] = kubelet.sandbox(container.pod)
    return found


def place(pod: str, container: str, field: str) -> tuple[str, str]:
    """Whose file it is: of a pod, cpu.cpus is its sandbox's."""
    return pod, SANDBOX if field == "cpu.cpus" and not container else container


def files(kubelet: Kubelet, containers: Iterable[Container]) -> Files:
    """Every file that somebody could have written a setting into."""
    found: Files = {}
    for owner, own in directories(kubelet, containers).items():
        paths = sorted({path for directory in own.values() for path in directory.iterdir() if path.is_file()})
        settings = [
            p for p in paths if p.stat().st_mode & 0o600 == 0o600 and not any(word in p.name for word in COUNTS)
        ]
        texts = {p.name: p.read_text() for p in settings if p.name not in OTHERS}
        if "cpu.weight" in texts:
            texts["cpu.weight"] = WEIGHTS.get(texts["cpu.weight"].strip(), texts["cpu.weight"])
        if not texts.get("cpuset.cpus", "0").strip():
            # On v2 an empty cpuset: the container has its parent's CPUs. What we lift has all of them.
            texts["cpuset.cpus"] = (own[""] / "cpuset.cpus.effective").read_text()
        found[owner] = texts
    return found


def changed(before: Files, after: Files) -> set[tuple[str, str, str]]:
    """(pod, container, file) of every file with another text."""
    assert before.keys() == after.keys()
    return {(*owner, name) for owner, texts in before.items() for name in texts if texts[name] != after[owner][name]}


def passes(daemon: Daemon) -> float:
    """How often everything was looked at because the policy changed."""
    return daemon.metric("koordnri_reconcile_passes_total", trigger="change")


def follow(daemon: Daemon, policy: str) -> None:
    """Change the policy, and wait until the reconciler is done with it, the runtime's record included where there is a way."""
    done = passes(daemon)
    daemon.policy_file.write_text(policy)
    eventually(lambda: passes(daemon) > done, "a pass over everything")
    recorded_in_replies = daemon.metric("koordnri_record_route_info", route="reply") > 0
    if not recorded_in_replies:
        eventually(lambda: daemon.metric("koordnri_unrecorded_containers") == 0, "everything to be recorded")


def check(kubelet: Kubelet, where: dict[str, Path], difference: dict[str, Any]) -> None:
    """The file of a difference has its new value."""
    field, value = difference["field"], difference["after"]
    if field == "cpu.shares":
        assert kubelet.cgroups.has_shares(where, value), difference
    elif field == "cpu.cpus":
        assert cpus(str(kubelet.cgroups.read(where, field))) == cpus(value), difference
    else:
        assert kubelet.cgroups.read(where, field) == value, difference


def cpus(text: str) -> set[int]:
    """A list of CPUs: `0-2,5`."""
    ranges = [part.partition("-") for part in text.split(",")]
    return {cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)}


def test_a_diff_reports_exactly_what_the_policy_then_changes(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    early = run_pods(kubelet)
    asked = files(kubelet, early)  # nobody but kubelet has set these
    daemon = new_daemon(policy=RATIO_2)
    daemon.start()
    late = run_pods(kubelet)
    everything = [*early, *late]
    where = directories(kubelet, everything)
    settled = koordnri(daemon, "diff", "--live", "--policy", daemon.policy_file)
    assert (settled.returncode, settled.stderr) == (0, "")
    eventually(
        lambda: changed(asked, files(kubelet, early)) and late_equals_early(kubelet, early, late), "the first policy"
    )

    for policy in POLICIES:
        before = files(kubelet, everything)
        answer = koordnri(daemon, "diff", "--live", "--policy", "-", "-o", "json", stdin=policy)
        assert (answer.returncode, answer.stderr) == (1, "")
        found = json.loads(answer.stdout)
        assert (found["pods"], found["containers"], found["remarks"]) == (10, 12, [])
        assert changed(before, files(kubelet, everything)) == set(), "asking has changed something"

        follow(daemon, policy)

        reported = set()
        for difference in found["differences"]:
            assert (difference["route"], difference["class"]) == ("write", None)
            owner = (difference["pod"], difference["container"] or "")
            reported.add((*place(*owner, difference["field"]), FILE[difference["field"]][kubelet.cgroups.version - 1]))
            check(kubelet, where[place(*owner, difference["field"])], difference)
        really = changed(before, files(kubelet, everything))
        assert reported <= really <= reported | {(*owner, COMPANIONS.get(file, file)) for *owner, file in reported}
        assert koordnri(daemon, "diff", "--live", "--policy", daemon.policy_file).returncode == 0

    released = koordnri(daemon, "release", "--all", "-o", "json")
    assert (released.returncode, released.stderr) == (0, "")
    for row in json.loads(released.stdout)["released"]:
        assert row["status"] in ("written", "same"), row
        check(kubelet, where[place(row["pod"], row["container"] or "", row["field"])], row)
    assert changed(asked, files(kubelet, early)) == set()
    assert late_equals_early(kubelet, early, late)

    # It stays so: for a new policy, for a new container, and for those who ask what a policy would change.
    follow(daemon, POLICIES[0])
    assert changed(asked, files(kubelet, early)) == set()
    assert koordnri(daemon, "diff", "--live", "--policy", "-", stdin=RATIO_2).returncode == 0
    assert kubelet.read(pods.normalised(kubelet), "cpu.quota") == 80_000


def test_a_class_follows_as_it_was_reported_and_is_given_back(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon(policy=RATIO_2)
    daemon.start()
    container = pods.batch(kubelet)
    path, number = pods.disk()
    block = {"name": path, "ioCfg": {"readBPS": READ_BPS}}
    limited = json.dumps({"clusterStrategy": {"beClass": {"blkioQOS": {"enable": True, "blocks": [block]}}}})
    policy = f"{RATIO_2}resource-qos-config: '{limited}'\n"
    # The class stands above the pod; its cgroup is the machine's, so only what we set there is looked at.
    of_class = directories(kubelet, [container])[container.pod.name, ""][
        "io" if kubelet.cgroups.version == 1 else ""
    ].parent
    assert read_limits(of_class).get(number) is None, f"somebody has limited {of_class}"

    answer = koordnri(daemon, "diff", "--live", "--policy", "-", "-o", "json", stdin=policy)
    assert (answer.returncode, answer.stderr) == (1, "")
    (difference,) = json.loads(answer.stdout)["differences"]
    names = {key: difference[key] for key in ("class", "namespace", "pod", "container", "field", "route", "recorded")}
    assert names == {
        "class": "BestEffort",
        "namespace": "",
        "pod": "",
        "container": None,
        "field": f"{'io.read_bps' if kubelet.cgroups.version == 1 else 'io.max'}[{path}]",
        "route": "write",
        "recorded": False,
    }
    assert read_limits(of_class).get(number) is None, "asking has changed something"

    follow(daemon, policy)
    assert read_limits(of_class)[number] == READ_BPS
    assert koordnri(daemon, "diff", "--live", "--policy", daemon.policy_file).returncode == 0

    released = koordnri(daemon, "release", "--all", "-o", "json")
    assert (released.returncode, released.stderr) == (0, "")
    rows = json.loads(released.stdout)["released"]
    (row,) = (row for row in rows if row["class"])
    assert rows[-1] == row
    assert (row["class"], row["field"], row["status"]) == ("BestEffort", difference["field"], "written")
    assert read_limits(of_class).get(number) is None


def read_limits(directory: Path) -> dict[str, int]:
    """Number of a disk → bytes/s that may be read from it, of a cgroup that limits any."""
    v1, v2 = directory / "blkio.throttle.read_bps_device", directory / "io.max"
    found = re.findall(r"^(\d+:\d+) (?:rbps=)?(\w+)", (v1 if v1.exists() else v2).read_text(), re.MULTILINE)
    return {number: int(limit) for number, limit in found if limit != "max"}


def late_equals_early(kubelet: Kubelet, early: list[Container], late: list[Container]) -> bool:
    """Whether pods of the same kind have the same settings, whenever they came."""
    first, second = (list(files(kubelet, containers).values()) for containers in (early, late))
    return first == second


def test_what_only_a_creation_can_set_is_reported_to_wait_for_a_restart(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon()
    daemon.start()
    pod = kubelet.run_pod(annotations=pods.gpus(0, 1))
    container = kubelet.run_container(pod)
    assert kubelet.environment(container)["NVIDIA_VISIBLE_DEVICES"] == "0,1"
    off = 'koordnri-config: {"hooks": {"gpu": {"mode": "off"}}}\n'

    answer = koordnri(daemon, "diff", "--live", "--policy", "-", "-o", "json", stdin=off)
    assert answer.returncode == 1
    (difference,) = json.loads(answer.stdout)["differences"]
    assert (difference["pod"], difference["container"], difference["field"]) == (
        pod.name, "main", "env[NVIDIA_VISIBLE_DEVICES]"
    )  # fmt: skip
    assert (difference["before"], difference["after"], difference["route"]) == ("0,1", None, "restart")

    released = koordnri(daemon, "release", "--pod", f"default/{pod.name}", "-o", "json")
    (row,) = json.loads(released.stdout)["released"]
    assert (released.returncode, row["field"], row["status"]) == (0, difference["field"], "restart")
    follow(daemon, off)
    assert kubelet.environment(container)["NVIDIA_VISIBLE_DEVICES"] == "0,1"
    assert "NVIDIA_VISIBLE_DEVICES" not in kubelet.environment(kubelet.run_container(pod, "again"))


def test_exclusive_cpus_stay_with_what_runs_as_the_diff_says(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start()
    shares = pods.plain(kubelet)
    owner = pods.wants_a_cpu(kubelet)
    had = files(kubelet, [shares, owner])
    own = str(kubelet.read(owner, "cpu.cpus"))
    none = 'koordnri-config: {"hooks": {"cpuset": {"allocate": false}}}\n'

    answer = koordnri(daemon, "diff", "--live", "--policy", "-", "-o", "json", stdin=none)
    assert (answer.returncode, answer.stderr) == (1, "")
    found = {(d["pod"], d["container"], d["field"]): d for d in json.loads(answer.stdout)["differences"]}
    name = owner.pod.name
    assert found.keys() == {(name, "main", "cpu.quota"), (name, "main", "cpu.cpus")}
    assert {d["route"] for d in found.values()} == {"restart"}
    difference = found[name, "main", "cpu.cpus"]
    assert cpus(difference["before"]) == cpus(own)
    follow(daemon, none)
    assert changed(had, files(kubelet, [shares, owner])) == set()

    kubelet.end_pod(owner.pod)
    again = pods.wants_a_cpu(kubelet)
    eventually(lambda: kubelet.read(again, "cpu.quota") == found[name, "main", "cpu.quota"]["after"], "kubelet's quota")
    everywhere = cpus(difference["after"])
    eventually(
        lambda: all(
            cpus(str(kubelet.read(c, "cpu.cpus")) or difference["after"]) == everywhere for c in (again, shares)
        ),
        "all CPUs to be everybody's",
    )


def test_a_bad_policy_is_informed_with_the_path_of_every_mistake_and_asked_of_nobody(
    kubelet: Kubelet, daemon: Daemon
) -> None:
    answer = koordnri(daemon, "diff", "--live", "--policy", "-", stdin="cpu-burst-config: {cpuBurstPercent: 0}\n")
    assert answer.returncode == 2
    assert "cpu-burst-config.cpuBurstPercent: expected 1..10000, got 0" in answer.stderr.splitlines()
    assert koordnri(daemon, "release", "--pod", "default/gone").returncode == 2
