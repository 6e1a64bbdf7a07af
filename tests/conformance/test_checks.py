"""Each check passes for plugins that are as they should be, and finds the fault that was planted for it."""

import sys
from pathlib import Path

import pytest

from koordnri.conformance.checks import CHECKS
from koordnri.conformance.run import Outcome, outcomes
from koordnri.wire.versions import NEWEST, Version
from tests.conformance.faulty import FAULTS
from tests.e2e import lab

OLD = Version(0, 6, 1)
STUB = lab.LAB_DIR / "nri-adaptation" / "stub"
"""A Go plugin on NRI's own stub; tools/lab_nri.py builds it."""
SAMPLES = lab.LAB_DIR / "nri-plugins"
"""NRI's own sample plugins, of the version that Debian has; tools/lab_nri_plugins.py builds them."""
ALL = (OLD, Version(0, 8, 0), Version(0, 11, 0), NEWEST)
PATIENCE_S = 60.0
"""For what a good plugin does; a fault that shows only by waiting is waited for 3 s."""


def faulty(fault: str = "") -> list[str]:
    return [sys.executable, "-m", "tests.conformance.faulty", "{socket}", fault]


def failed(found: list[Outcome]) -> list[str]:
    return [f"{o.version} {o.check.code} {o.detail}\n{o.output}" for o in found if o.verdict == "failed"]


@pytest.mark.parametrize("version", [OLD, NEWEST])
def test_a_plugin_without_a_fault_passes_all(version: Version) -> None:
    found = list(outcomes(faulty(), CHECKS, [version], PATIENCE_S))
    assert failed(found) == []
    assert len(found) == len(CHECKS)


@pytest.mark.parametrize(("fault", "code"), FAULTS.items())
def test_a_planted_fault_is_found(fault: str, code: str) -> None:
    version = OLD if fault in ("all-events", "known-events") else NEWEST
    (check,) = (check for check in CHECKS if check.code == code)
    (outcome,) = outcomes(faulty(fault), [check], [version], 3.0)
    assert outcome.verdict == "failed", outcome
    assert outcome.detail


def test_every_check_has_a_planted_fault() -> None:
    assert sorted(FAULTS.values()) == [check.code for check in CHECKS]


@pytest.mark.full
@pytest.mark.timeout(600)
def test_our_own_daemon_passes_all(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "koordnri.cli", "run", "--nri-socket", "{socket}", "--state-dir", "{dir}"]
    command = [*run, "--host-root", str(tmp_path), "--listen", "off"]
    found = list(outcomes(command, CHECKS, ALL, PATIENCE_S))
    assert failed(found) == []


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", [[str(STUB), "-socket", "{socket}"], [str(STUB)]], ids=["connecting", "launched"])
def test_a_plugin_on_nris_own_stub_passes_all(command: list[str]) -> None:
    if not STUB.exists():
        (pytest.fail if lab.CI else pytest.skip)(f"no {STUB}: run python tools/lab_nri.py")
    found = list(outcomes(command, CHECKS, ALL, PATIENCE_S))
    assert failed(found) == []
    assert {o.verdict for o in found if o.check.code == "CF17"} == {"passed" if len(command) > 1 else "not here"}


@pytest.mark.full
@pytest.mark.parametrize("name", ["device-injector", "ulimit-adjuster"])
def test_nris_sample_plugins_pass_but_for_what_their_stub_did_not_answer_then(name: str) -> None:
    """Up to NRI 0.8 the stub answers an event that the plugin has no handler for by an error (CF07)."""
    program = SAMPLES / name
    if not program.exists():
        (pytest.fail if lab.CI else pytest.skip)(f"no {program}: run python tools/lab_nri_plugins.py")
    found = list(outcomes([str(program)], CHECKS, [Version(0, 8, 0)], PATIENCE_S))
    assert {outcome.check.code for outcome in found if outcome.verdict == "failed"} <= {"CF07"}
    assert sum(outcome.verdict == "passed" for outcome in found) > len(CHECKS) // 2
