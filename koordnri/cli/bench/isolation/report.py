"""The part `isolation`: a runtime, a daemon on it, the rounds, and the figures in the shape of `koordnri.cli.bench.command`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.isolation.data_file import disk_of
from koordnri.cli.bench.isolation.designs import designs
from koordnri.cli.bench.isolation.experiment import Experiment
from koordnri.cli.bench.isolation.plan import TRUSTING, Arm, Design
from koordnri.cli.bench.isolation.sentences import sentences
from koordnri.cli.bench.isolation.stage import ON_DISK, stage
from koordnri.cli.bench.isolation.statistics import Quartiles, Round, summary, unstable

NOTHING_COUNTS = "no round counts, so these figures say nothing: measure when nothing else uses this machine"


class Where(NamedTuple):
    """The runtime, and how much to measure."""

    runtime_endpoint: Path
    nri_socket: Path
    image: str
    rounds: int
    seconds: float
    """of each arm in each round"""
    designs: Sequence[str]
    """names; () for all"""


def report(where: Where) -> dict[str, Any]:
    """Measure. Raises BenchError, also where it cannot be measured."""
    with stage("the part isolation", where.runtime_endpoint, where.nri_socket, where.image, TRUSTING) as on:
        known = designs(int(on.node["cpus"]), disk_of(on.directory))
        wanted, skipped = _choose(known, where.designs, on.cgroups.offered())
        wanted, arms_skipped = _without_absent_files(wanted, on.cgroups.kernel_has)
        experiment = Experiment(on.pods, on.daemon, TRUSTING)
        found = {}
        for design in wanted:
            with experiment.prepared(design):
                found[design.name] = _measure(experiment, design, where)
    return {
        "node": dict(on.node),
        "rounds": where.rounds,
        "seconds": where.seconds,
        "designs": found,
        "skipped": skipped | arms_skipped,
    }


def _choose(
    known: Mapping[str, Design], named: Sequence[str], offered: Collection[str]
) -> tuple[list[Design], dict[str, str]]:
    """Designs to measure, and name → why it cannot be. Raises BenchError for one that was named."""
    skipped = {name: f"needs a disk below {ON_DISK}" for name in named if name not in known}
    chosen = [known[name] for name in named if name in known] if named else list(known.values())
    skipped |= {
        design.name: f"needs cgroup v2 with the controllers {', '.join(design.needs)}"
        for design in chosen
        if not set(design.needs) <= set(offered)
    }
    if named and skipped:
        raise BenchError("; ".join(f"{name} {why}, and this node has none" for name, why in skipped.items()))
    return [design for design in chosen if design.name not in skipped], skipped


def _without_absent_files(
    chosen: Sequence[Design], kernel_has: Callable[[str], bool]
) -> tuple[list[Design], dict[str, str]]:
    """The designs without the arms that this kernel cannot run, and `DESIGN ARM` → why it cannot."""
    designs_left: list[Design] = []
    skipped: dict[str, str] = {}
    for design in chosen:
        absent = [arm for arm in design.arms if arm.needs_file and not kernel_has(arm.needs_file)]
        skipped |= {
            f"{design.name} {arm.name}": f"needs the file {arm.needs_file}, which this kernel lacks" for arm in absent
        }
        designs_left.append(design._replace(arms=[arm for arm in design.arms if arm not in absent]))
    return designs_left, skipped


def _measure(experiment: Experiment, design: Design, where: Where) -> dict[str, Any]:
    rounds: list[Round] = []
    for number in range(where.rounds):

        def done(arm: Arm, number: int = number) -> None:
            print(f"{design.name}, round {number + 1} of {where.rounds}: {arm.name}", file=sys.stderr)

        rounds.append(experiment.round(design, where.seconds, done))
    thrown_away = unstable(rounds, reads=bool(design.files))
    kept = [one for place, one in enumerate(rounds) if place not in thrown_away]
    figures = summary(kept or rounds)
    return {
        "question": design.question,
        "arms": {arm: {name: _shape(spread) for name, spread in of.items()} for arm, of in figures.items()},
        "kept_rounds": len(kept),
        "thrown_away": list(thrown_away.values()),
        "says": list(sentences(design, figures, where.seconds)) if kept else [NOTHING_COUNTS],
    }


def _shape(spread: Quartiles) -> dict[str, float]:
    return {"q1": round(spread.q1, 3), "median": round(spread.median, 3), "q3": round(spread.q3, 3)}
