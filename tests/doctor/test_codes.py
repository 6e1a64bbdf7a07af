"""The list of codes, the page that explains them, and the checks are one and the same list."""

import re
from pathlib import Path

from koordnri.doctor.codes import CODES, PAGE, Finding

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_has_one_entry_for_each_code_with_its_severity_and_title() -> None:
    entries = re.findall(r"^### (KN\d{4})\n\n\*(\w+)\*: \*\*(.+?)\.\*\*", (ROOT / PAGE).read_text(), flags=re.MULTILINE)
    assert entries == [
        (code, meaning.severity.value, meaning.title.removesuffix(".")) for code, meaning in CODES.items()
    ]


def test_the_checks_use_every_code_and_no_other() -> None:
    source = "".join(path.read_text() for path in (ROOT / "koordnri/doctor/checks").glob("*.py"))
    assert set(re.findall(r'"(KN\d{4})"', source)) == CODES.keys()


def test_a_finding_links_to_its_entry() -> None:
    finding = Finding("KN0101", "file", "cause", "fix")
    assert finding.as_json() == {
        "code": "KN0101",
        "severity": "error",
        "title": "NRI is off in the runtime",
        "object": "file",
        "cause": "cause",
        "fix": "fix",
        "link": "docs/use/doctor.md#kn0101",
    }
