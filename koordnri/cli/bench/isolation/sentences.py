"""What the figures mean, in sentences that an application owner understands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from koordnri.cli.bench.isolation.plan import ALONE, NONE, Design
from koordnri.cli.bench.isolation.statistics import WORST, Quartiles

NOISE = 0.05
"""Less than so much longer than alone is no difference."""
Summary = Mapping[str, Mapping[str, Quartiles]]


def sentences(design: Design, summary: Summary, seconds: float) -> Iterator[str]:
    """One per arm but `ALONE`, and one where a controller had to act. `seconds`: of each arm."""
    figure, called = (WORST, "the worst 100 ms") if design.windows else ("p99_ms", "p99")
    alone, none = (summary[arm][figure].median for arm in (ALONE, NONE))
    for arm in design.arms:
        if arm.name == ALONE:
            continue
        here = summary[arm.name]
        instead = "" if arm.name == NONE else f", instead of {_more(none, alone)}"
        yield f"{arm.means}: {called} of the service {_more(here[figure].median, alone)}{instead}{_kept(design, summary, arm.name)}."
        if arm.wake_us:
            yield _acted(here.get("acted_s"), seconds)


def _more(value: float, alone: float) -> str:
    """`+12 %`, or `31 times as long`, compared with the service alone."""
    ratio = value / alone
    if ratio < 1 + NOISE:
        return "as alone"
    return f"{ratio:.0f} times as long" if ratio >= 10 else f"{(ratio - 1) * 100:+.0f} %"


def _kept(design: Design, summary: Summary, arm: str) -> str:
    """What batch work keeps of what it has as a pod like any other."""
    parts = []
    for figure, called in (("batch_cpu_s", "CPU"), ("batch_mib", "bytes")):
        before = summary[NONE].get(figure)
        if arm != NONE and before is not None and before.median > 0:
            parts.append(f"{summary[arm][figure].median / before.median * 100:.0f} % of its {called}")
    return f"; batch keeps {' and '.join(parts)}" if parts else ""


def _acted(after: Quartiles | None, seconds: float) -> str:
    """How soon batch work got less."""
    if after is None:
        return "When the service woke up, batch had too little for anything to be taken: others use this machine."
    if after.median >= seconds:
        return f"After the service woke up, batch's quota did not fall within {seconds:g} s in half of the rounds."
    return f"Batch's quota fell {after.median:.1f} s after the service woke up ({after.q1:.1f} to {after.q3:.1f} s)."
