"""Runs the checks, each against a plugin of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from koordnri.conformance.checks import Check
from koordnri.conformance.subject import Subject
from koordnri.conformance.violation import NotHere, Violation
from koordnri.wire.versions import Version

Verdict = Literal["passed", "failed", "not here"]


class Outcome(NamedTuple):
    """What came of one check.

    detail  why it failed, or does not apply; "" when it passed
    output  the end of what a plugin printed whose check failed
    """

    check: Check
    version: Version
    verdict: Verdict
    seconds: float
    detail: str = ""
    output: str = ""


def outcomes(
    command: Sequence[str], checks: Sequence[Check], versions: Sequence[Version], patience_s: float
) -> Iterator[Outcome]:
    """One by one, the checks of one version after the other. Raises OSError when the command cannot be started."""
    for version in versions:
        registers = True
        for check in checks:
            if not registers:
                yield Outcome(check, version, "not here", 0.0, "it does not register")
                continue
            outcome = _outcome(command, check, version, patience_s)
            registers = not (check.first and outcome.verdict == "failed")
            yield outcome


def _outcome(command: Sequence[str], check: Check, version: Version, patience_s: float) -> Outcome:
    began_s = time.monotonic()

    def ended(verdict: Verdict, detail: str = "", output: str = "") -> Outcome:
        return Outcome(check, version, verdict, time.monotonic() - began_s, detail, output)

    with Subject(command, patience_s) as subject:
        try:
            if check.started:
                subject.start()
            check.run(subject, version)
        except NotHere as reason:
            return ended("not here", str(reason))
        except Violation as violation:
            return ended("failed", str(violation), subject.tail())
    return ended("passed")
