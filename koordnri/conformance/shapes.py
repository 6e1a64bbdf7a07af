"""Outcomes as people and as CI systems read them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from koordnri.conformance.run import Outcome

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def line(outcome: Outcome) -> str:
    """One line, and below it why the check failed."""
    check = outcome.check
    text = f"{outcome.verdict:9} {outcome.version!s:8} {check.code}  it {check.title}"
    return f"{text}\n          {outcome.detail}" if outcome.detail else text


def summary(found: Iterable[Outcome]) -> str:
    """Numbers of each verdict."""
    verdicts = [outcome.verdict for outcome in found]
    return f"{verdicts.count('passed')} passed, {verdicts.count('failed')} failed, {verdicts.count('not here')} do not apply"


def junit(found: Iterable[Outcome]) -> str:
    """A JUnit report, as CI systems read it."""
    suite = ElementTree.Element("testsuite", name="nri-conformance")
    counts = {"tests": 0, "failures": 0, "skipped": 0}
    for outcome in found:
        counts["tests"] += 1
        case = ElementTree.SubElement(suite, "testcase", classname=f"nri-{outcome.version}")
        case.attrib |= {"name": f"{outcome.check.code} {outcome.check.title}", "time": f"{outcome.seconds:.3f}"}
        if outcome.verdict == "failed":
            counts["failures"] += 1
            ElementTree.SubElement(case, "failure", message=_xml(outcome.detail)).text = _xml(outcome.output)
        elif outcome.verdict == "not here":
            counts["skipped"] += 1
            ElementTree.SubElement(case, "skipped", message=_xml(outcome.detail))
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
