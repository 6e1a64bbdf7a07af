"""How checks are run: one plugin each, the versions one after the other."""

from koordnri.conformance.checks import CHECKS, Check
from koordnri.conformance.run import outcomes
from koordnri.conformance.subject import Subject
from koordnri.conformance.violation import NotHere, Violation
from koordnri.wire.versions import NEWEST, Version

OLD = Version(0, 6, 1)


def fails(subject: Subject, version: Version) -> None:
    if version == OLD:
        raise NotHere("too old")
    raise Violation("expected better")


def test_each_check_is_run_for_each_version() -> None:
    checks = [Check("X1", "does well", lambda subject, version: None), Check("X2", "fails", fails)]
    found = list(outcomes(["/bin/echo", "hello {socket}"], checks, [OLD, NEWEST], 1.0))
    assert [(o.version, o.check.code, o.verdict, o.detail) for o in found] == [
        (OLD, "X1", "passed", ""),
        (OLD, "X2", "not here", "too old"),
        (NEWEST, "X1", "passed", ""),
        (NEWEST, "X2", "failed", "expected better"),
    ]


def test_what_never_registers_is_not_checked_further() -> None:
    found = list(outcomes(["/bin/true", "{socket}"], CHECKS, [NEWEST], 1.0))
    assert [o.verdict for o in found] == ["failed"] + ["not here"] * (len(CHECKS) - 1)
