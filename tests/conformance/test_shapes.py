"""Outcomes as text and as JUnit."""

from xml.etree import ElementTree

from koordnri.conformance.checks import Check
from koordnri.conformance.run import Outcome
from koordnri.conformance.shapes import junit, line, summary
from koordnri.wire.versions import Version

CHECK = Check("CF99", "does what it should", lambda subject, version: None)
V = Version(0, 12, 5)
FOUND = [
    Outcome(CHECK, V, "passed", 0.5),
    Outcome(CHECK, V, "failed", 1.0, "expected <this>\x00", "out\x1b[0m & more"),
    Outcome(CHECK, V, "not here", 0.0, "too old"),
]


def test_a_line_has_the_reason_below_it() -> None:
    assert line(FOUND[0]) == "passed    0.12.5   CF99  it does what it should"
    assert line(FOUND[2]).splitlines()[1].strip() == "too old"
    assert summary(FOUND) == "1 passed, 1 failed, 1 do not apply"


def test_junit_can_be_read_whatever_a_plugin_prints() -> None:
    suite = ElementTree.fromstring(junit(FOUND))
    assert suite.attrib == {"name": "nri-conformance", "tests": "3", "failures": "1", "skipped": "1"}
    assert [case.get("name") for case in suite] == ["CF99 does what it should"] * 3
    failure = suite[1].find("failure")
    assert failure is not None
    assert failure.get("message") == "expected <this>\ufffd"
    assert failure.text == "out\ufffd[0m & more"
