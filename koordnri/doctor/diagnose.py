"""All checks in their order."""

from __future__ import annotations

from koordnri.doctor.checks import cgroups, daemon, kernel, kubelet, others, ours, runtime, timing, validator
from koordnri.doctor.codes import Finding, Severity
from koordnri.doctor.facts import Facts

CHECKS = (ours, runtime, validator, timing, kubelet, cgroups, kernel, others, daemon)
_ORDER = {severity: place for place, severity in enumerate(Severity)}


def diagnose(facts: Facts) -> list[Finding]:
    """What the checks find: errors first, then by code."""
    found = [finding for noun in CHECKS for finding in noun.check(facts)]
    return sorted(found, key=lambda finding: (_ORDER[finding.severity], finding.code, finding.object))
