"""The part `reconcile` of `bench`: how fast running containers follow a changed policy, and what an unchanged one costs.

The daemon's cgroups are a directory tree of plain files. Everything is measured from outside: files, /metrics, the process's CPU clock.
Each measurement checks that what it measures did happen.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from koordnri.cli.bench import load
from koordnri.cli.bench.daemon import BenchedDaemon, started
from koordnri.cli.bench.drift import healed_ms
from koordnri.cli.bench.events import ToCreate, create_and_remove, no_collection, round_trips_us
from koordnri.cli.bench.figures import BenchError, percentiles, spread
from koordnri.cli.bench.host import cgroup_of, write_cgroups
from koordnri.cli.bench.policy import Policy, defaults, edited, everything
from koordnri.cli.bench.pools import allocated_ms, cleared_s
from koordnri.wire.versions import Version

TARGETS = {
    "verified_s": 0.3,
    "recorded_s": 2.0,
    "unchanged_cpu_ms": 30.0,
    "idle_cpu_percent": 0.2,
    "healed_p99_ms": 50.0,
    "create_p99_ratio": 2.0,
    "cleared_s": 0.1,
    "allocated_ms": 1.0,
}
"""largest acceptable values, with 250 pods and 500 containers"""


class Effort(NamedTuple):
    """How much to measure."""

    turns: int = 5
    """changes of the policy"""
    edits: int = 5
    """edits of it that change nothing"""
    blocks: int = 2
    """seconds of creations on an idle daemon, and again while the policy changes"""
    heals: int = 200
    """foreign writes of files"""
    sweeps: bool = True
    """whether to wait for sweeps; without them their cost and an idle daemon's are not reported"""


EDIT_S = 0.5
"""s after which an edit without effect is handled, debounce included"""
SWEEP_EVERY_S = 10.0
FLIP_EVERY_S = 0.2
BLOCK_S = 1.0
ALLOCATIONS = 50
PODS = 40
"""pods in which containers are created"""


def report(containers: int, version: Version, effort: Effort = Effort()) -> dict[str, Any]:  # noqa: B008  # immutable
    """Measure, and return the figures in the shape of `koordnri.cli.bench.command`. Raises BenchError."""
    unchanged: dict[str, Any] = {}
    sweep: dict[str, float] = {}
    idle_percent: dict[str, float] = {}

    def at_rest(daemon: BenchedDaemon, name: str, policy: Policy) -> None:
        daemon.follow(policy)
        unchanged[name] = unchanged_cpu_ms(daemon, policy, effort.edits)
        if effort.sweeps:
            sweep[name], idle_percent[name] = idle(daemon)
        if daemon.metrics().total("koordnri_apply_failures_total"):
            raise BenchError(f"the daemon could not write all files\n{daemon.tail()}")

    with started(containers, version, everything(), cgroups=2) as daemon:
        daemon.follow(everything())
        verified, recorded = _turns(daemon, effort.turns)
        right = {file: file.read_text() for file in _following(daemon)}
        create = _create(daemon, containers, effort.blocks)
        _return_to(daemon, everything(effort.turns % 2), right)
        healed = healed_ms(daemon, _following(daemon), effort.heals)
        at_rest(daemon, "everything", everything())
    with started(containers, version, defaults(), cgroups=2) as daemon:
        at_rest(daemon, "defaults", defaults())
    cleared = cleared_s(containers, version, effort.turns)
    return {
        "verified_s": verified,
        "recorded_s": recorded,
        "healed_ms": healed,
        "unchanged_cpu_ms": unchanged,
        "sweep_cpu_ms": sweep,
        "idle_cpu_percent": idle_percent,
        "create_us": create,
        "cleared_s": cleared,
        "allocated_ms": allocated_ms(ALLOCATIONS),
        "targets": TARGETS,
    }


# -- a changed policy -------------------------------------------------------------------------------------------------


def _turns(daemon: BenchedDaemon, turns: int) -> tuple[dict[str, float], dict[str, float] | None]:
    """Seconds from the policy's change until all files have their value, and until the runtime has stored them."""
    files = _following(daemon)
    verified, recorded = [], []
    for turn in itertools.islice(itertools.cycle((1, 0)), turns):
        before, passes = [file.read_text() for file in files], passes_of(daemon, "change")
        changed = time.perf_counter()
        daemon.set_policy(everything(turn))
        for file, old in zip(files, before, strict=True):
            daemon.wait_until(lambda file=file, old=old: file.read_text() != old, 0.001, f"{file} to follow the policy")  # type: ignore[misc]
        daemon.wait_until(lambda passes=passes: passes_of(daemon, "change") > passes, 0.005, "the pass to end")  # type: ignore[misc]
        verified.append(time.perf_counter() - changed)
        if daemon.records:
            daemon.wait_until(
                lambda: daemon.metrics().total("koordnri_unrecorded_containers") == 0, 0.05, "all to be recorded"
            )
            recorded.append(time.perf_counter() - changed)
            _check_stored(daemon)
        daemon.settle()
    return spread(verified, 3), spread(recorded, 3) if recorded else None


def _return_to(daemon: BenchedDaemon, policy: Policy, right: dict[Path, str]) -> None:
    """Wait until the files have their values under this policy: the daemon may pause between passes longer than `settle` waits."""
    daemon.follow(policy)
    for file, text in right.items():
        daemon.wait_until(lambda file=file, text=text: file.read_text() == text, 0.01, f"{file} to be {text.strip()}")  # type: ignore[misc]


def _following(daemon: BenchedDaemon) -> list[Path]:
    """One file per running container that changes with the policy."""
    return [root / kind.follows for kind, root in _cgroups(daemon)]


def _cgroups(daemon: BenchedDaemon) -> Iterator[tuple[load.Kind, Path]]:
    kinds = {kind.name: kind for kind in load.KINDS}
    for state in daemon.runtime.containers.values():
        pod = daemon.runtime.pods[state.pod_id].message
        kind = kinds[pod.name.partition("-")[0]]
        yield kind, daemon.host / "sys/fs/cgroup" / cgroup_of(pod, state.spec)


def _check_stored(daemon: BenchedDaemon) -> None:
    """Check that the runtime has stored the files' values. Raises BenchError."""
    states = daemon.runtime.containers.values()
    for (kind, root), state in zip(_cgroups(daemon), states, strict=True):
        resources = state.spec.linux.resources
        stored = str(resources.cpu.quota.value) if kind.follows == "cpu.max" else resources.unified[kind.follows]
        written = (root / kind.follows).read_text().split()[0]
        if stored != written:
            raise BenchError(f"{root / kind.follows}: expected the runtime to have stored {written}, it has {stored}")


# -- nothing to change ------------------------------------------------------------------------------------------------


def unchanged_cpu_ms(daemon: BenchedDaemon, policy: Policy, edits: int, within_s: float = EDIT_S) -> dict[str, float]:
    """CPU ms of an edit of the policy that changes nothing here: reading it, and deciding everything again."""
    costs: list[float] = []
    for number in itertools.count():
        before = daemon.metrics()
        idle_s = _cpu_s(daemon, lambda: None, within_s)
        cost_s = _cpu_s(daemon, lambda number=number: daemon.set_policy(edited(policy, number)), within_s)  # type: ignore[misc]
        after = daemon.metrics()
        for name in ("koordnri_writes_total", "koordnri_pushes_total"):
            if after.total(name) != before.total(name):
                raise BenchError(f"expected no change by the same policy, but {name} rose")
        sweeps = [m.total("koordnri_reconcile_passes_total", trigger="sweep") for m in (before, after)]
        if sweeps[0] == sweeps[1]:
            costs.append((cost_s - idle_s) * 1e3)
        if len(costs) == edits:
            return spread(costs, 1)
    raise AssertionError


def _cpu_s(daemon: BenchedDaemon, act: Callable[[], None], within_s: float) -> float:
    time.sleep(0.05)  # keeps the cost of our scrape out of the figure
    before_s = daemon.cpu_s()
    act()
    time.sleep(within_s)
    return daemon.cpu_s() - before_s


def idle(daemon: BenchedDaemon) -> tuple[float, float]:
    """(CPU ms of a sweep, CPU of an idle daemon in percent of one core, its sweep every 10 s included)."""
    daemon.settle()
    sweeps = passes_of(daemon, "sweep")
    daemon.wait_until(lambda: passes_of(daemon, "sweep") > sweeps, 0.1, "a sweep")
    time.sleep(0.1)
    quiet_s, margin_s = SWEEP_EVERY_S - 0.6, 1.2
    start_s = daemon.cpu_s()
    time.sleep(quiet_s)
    between_s = daemon.cpu_s()
    time.sleep(margin_s)
    end_s = daemon.cpu_s()
    if passes_of(daemon, "sweep") != sweeps + 2:
        raise BenchError(f"expected one sweep within {SWEEP_EVERY_S:g} s; is the machine too busy?\n{daemon.tail()}")
    share = (between_s - start_s) / quiet_s
    sweep_s = end_s - between_s - share * margin_s
    return round(sweep_s * 1e3, 1), round((share + sweep_s / SWEEP_EVERY_S) * 100, 2)


# -- creations beside it ----------------------------------------------------------------------------------------------


def _create(daemon: BenchedDaemon, first: int, blocks: int) -> dict[str, Any]:
    """Round trips of CreateContainer on an idle daemon, and while the policy changes. `first`: the first unused number."""
    pods = []
    for number in range(first, first + PODS):
        kind = load.KINDS[number % len(load.KINDS)]
        pod = load.make_pod(kind, number)
        write_cgroups(daemon.host, pod, [])
        daemon.runtime.run_pod_sandbox(pod)
        pods.append((kind, pod))
    to_create = (
        ToCreate(kind, pod, load.make_container(pod, kind, first + n))
        for n, (kind, pod) in enumerate(itertools.cycle(pods))
    )
    idle, flipping = [], []
    for _ in range(blocks):
        daemon.settle()
        idle += _create_for(daemon, to_create, BLOCK_S, flip=False)
        before = passes_of(daemon, "change")
        flipping += _create_for(daemon, to_create, BLOCK_S, flip=True)
        # A pass that began meanwhile may end later: it makes way for creations.
        daemon.wait_until(
            lambda before=before: passes_of(daemon, "change") > before,  # type: ignore[misc]
            0.05,
            "the daemon to follow the policy that flipped while containers were created",
        )
    for _, pod in pods:
        daemon.runtime.remove_pod_sandbox(pod.id)
    daemon.settle()
    result: dict[str, Any] = {"idle": percentiles(idle), "flipping": percentiles(flipping)}
    result["p99_ratio"] = round(result["flipping"]["p99"] / result["idle"]["p99"], 2)
    return result


def _create_for(daemon: BenchedDaemon, to_create: Iterator[ToCreate], seconds: float, flip: bool) -> list[float]:
    daemon.runtime.calls.clear()
    turns = itertools.cycle((0, 1))
    with no_collection():
        flip_at = time.perf_counter()
        ends_at = flip_at + seconds
        while (now := time.perf_counter()) < ends_at:
            if flip and now >= flip_at:
                daemon.set_policy(everything(next(turns)))
                flip_at += FLIP_EVERY_S
            create_and_remove(daemon.runtime, next(to_create))
    return round_trips_us(daemon.runtime, "CREATE_CONTAINER")


# -- helpers ----------------------------------------------------------------------------------------------------------


def passes_of(daemon: BenchedDaemon, trigger: str) -> float:
    """How many passes of this trigger have ended."""
    return daemon.metrics().total("koordnri_reconcile_passes_total", trigger=trigger)


def as_text(figures: dict[str, Any]) -> str:
    """The same figures as text."""
    targets = figures["targets"]
    lines = [f"{'':44}{'min':>9}{'p50':>9}{'max':>9}{'target':>9}"]

    def row(name: str, values: dict[str, float] | None, target: Any = "") -> None:
        cells = ["-"] * 3 if values is None else list(values.values())
        lines.append(f"{name:44}" + "".join(f"{cell:>9}" for cell in cells) + f"{target:>9}")

    def one(name: str, value: float, target: Any = "") -> None:
        lines.append(f"{name:44}{'':9}{value:>9}{'':9}{target:>9}")

    row("policy changed to all files verified, s", figures["verified_s"], targets["verified_s"])
    row("policy changed to all recorded, s", figures["recorded_s"], targets["recorded_s"])
    row("CPU chosen on a node of 384, ms", figures["allocated_ms"], targets["allocated_ms"])
    row("CPUs clear for their owner to start, s", figures["cleared_s"], targets["cleared_s"])
    for policy, values in figures["unchanged_cpu_ms"].items():
        row(f"edit without effect, CPU ms, {policy}", values, targets["unchanged_cpu_ms"])
    for policy, value in figures["sweep_cpu_ms"].items():
        one(f"sweep, CPU ms, {policy}", value)
    for policy, value in figures["idle_cpu_percent"].items():
        one(f"idle, % of a core, {policy}", value, targets["idle_cpu_percent"])
    create = figures["create_us"]
    lines += ["", f"{'':44}{'p50':>9}{'p90':>9}{'p99':>9}"]
    cells = "".join(f"{value:>9}" for value in figures["healed_ms"].values())
    lines.append(f"{'somebody else wrote to undone, ms':44}{cells}{targets['healed_p99_ms']:>9}")
    lines.append("CreateContainer, µs")
    for name in ("idle", "flipping"):
        lines.append(f"  {name:42}" + "".join(f"{value:>9}" for value in create[name].values()))
    lines.append(f"  {'p99, ratio of the two':42}{'':18}{create['p99_ratio']:>9}{targets['create_p99_ratio']:>9}")
    return "\n".join(lines)
