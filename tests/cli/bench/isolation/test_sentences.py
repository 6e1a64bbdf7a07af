"""What the figures of an experiment mean."""

from typing import Any

import pytest

from koordnri.cli.bench.isolation.plan import Arm, Design
from koordnri.cli.bench.isolation.sentences import sentences
from koordnri.cli.bench.isolation.statistics import Quartiles

SERVICE: Any = None
"""a sentence needs no pods"""


def of(**medians: float) -> dict[str, Quartiles]:
    return {name.replace("p99_9", "p99.9"): Quartiles(0.0, value, 0.0) for name, value in medians.items()}


def sentences_of(summary: dict[str, dict[str, Quartiles]], windows: bool = False) -> list[str]:
    arms = [Arm(name, SERVICE, None, {}, f"with {name}", wake_us=int(name == "suppress")) for name in summary]
    return list(sentences(Design("D", "", arms, windows), summary, seconds=5.0))


def test_each_arm_is_compared_with_the_service_alone_and_with_batch_without_koordnri() -> None:
    summary = {
        "alone": of(p99_ms=1.0),
        "none": of(p99_ms=20.0, batch_cpu_s=8.0),
        "idle": of(p99_ms=1.25, batch_cpu_s=6.0),
        "exclusive": of(p99_ms=0.9, batch_cpu_s=4.0),
    }
    assert sentences_of(summary) == [
        "with none: p99 of the service 20 times as long.",
        "with idle: p99 of the service +25 %, instead of 20 times as long; batch keeps 75 % of its CPU.",
        "with exclusive: p99 of the service as alone, instead of 20 times as long; batch keeps 50 % of its CPU.",
    ]


def test_where_phases_matter_the_worst_window_is_compared() -> None:
    summary = {"alone": of(p99_ms=1.0, worst_window_ms=2.0), "none": of(p99_ms=1.0, worst_window_ms=3.0)}
    assert sentences_of(summary, windows=True) == ["with none: the worst 100 ms of the service +50 %."]


@pytest.mark.parametrize(
    ("acted", "sentence"),
    [
        (None, "When the service woke up, batch had too little for anything to be taken: others use this machine."),
        (Quartiles(0.62, 1.04, 1.5), "Batch's quota fell 1.0 s after the service woke up (0.6 to 1.5 s)."),
        (
            Quartiles(1.0, 5.0, 5.0),
            "After the service woke up, batch's quota did not fall within 5 s in half of the rounds.",
        ),
    ],
)
def test_it_says_when_suppress_had_acted(acted: Quartiles | None, sentence: str) -> None:
    summary = {name: of(p99_ms=1.0) for name in ("alone", "none", "suppress")}
    if acted is not None:
        summary["suppress"]["acted_s"] = acted
    assert sentences_of(summary)[-2:] == ["with suppress: p99 of the service as alone, instead of as alone.", sentence]
