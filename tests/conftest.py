"""In CI nothing is skipped: with CI set, a skip is a failure that quotes the skip's reason.

A skipped end-to-end test on a machine that was meant to run it looks like a green one. Expected failures (xfail) stay.
"""

import importlib.util
import os
from collections.abc import Generator
from typing import Any

import pytest

from tests.examples import DEFAULT, examples

if importlib.util.find_spec("hypothesis") is not None:  # the virtual machine does without
    from hypothesis import HealthCheck, settings

    # How long an example takes says how busy the machine is, nothing else.
    settings.register_profile(
        "shared machine", max_examples=examples(DEFAULT), deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("shared machine")

# Set by readline, which pytest imports: it would make the tables of the command line as narrow as no pipe is.
os.environ.pop("COLUMNS", None)

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not IN_CI or not report.skipped or hasattr(report, "wasxfail"):
        return
    where_and_why = report.longrepr  # (file, line, "Skipped: reason")
    reason = where_and_why[2] if isinstance(where_and_why, tuple) else str(where_and_why)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: CI is set, where nothing may be skipped, but: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Modules that skip themselves as a whole (importorskip, pytest.skip(allow_module_level=True))."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`make test` has several processes. A file's tests run in one of them, and so do all that drive the one node that there is.

    The virtual machines, which take two CPUs, run in that one, too: never beside the tests of a busy node, some of which
    leave all others a sixtieth of the CPUs.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "node" if file.startswith(("tests/e2e", "tests/kube/test_real_daemon")) else file

    return Scheduling(config, log)
