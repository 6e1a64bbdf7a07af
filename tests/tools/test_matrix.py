"""The matrix of what the end-to-end tests ran on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import matrix

HOST = """<testsuites><testsuite name="pytest">
<testcase classname="tests.e2e.test_e2e_create" name="test_a[containerd-2]"/>
<testcase classname="tests.e2e.test_e2e_create" name="test_b[containerd-2-x]"><failure message="no"/></testcase>
<testcase classname="tests.e2e.test_e2e_create" name="test_a[crio]"/>
<testcase classname="tests.e2e.test_e2e_create" name="test_c[crio]"><skipped message="no"/></testcase>
<testcase classname="tests.e2e.test_lab" name="test_the_lab"/>
<testcase classname="tests.model.test_pod" name="test_d"/>
<testcase classname="tests.e2e_vm.test_vm" name="test_e[containerd-2]"/>
</testsuite></testsuites>"""
INSIDE = '<testsuite><testcase classname="tests.e2e.test_e2e_create" name="test_a[crio]"/></testsuite>'


def test_each_suite_is_counted_by_what_it_ran_on(tmp_path: Path) -> None:
    (tmp_path / "junit").mkdir()
    (tmp_path / "junit" / "full.xml").write_text(HOST)
    out = tmp_path / "lab" / "vm" / "e2e-out-crio"
    out.mkdir(parents=True)
    (out / "junit-crio-crun.xml").write_text(INSIDE)
    found = matrix.reports(tmp_path, "v1")
    text = matrix.table(case for path, where in found.items() for case in matrix.cases_of(path, where))
    assert text.splitlines() == [
        "| suite | containerd-2, runc, v1 | crio, runc, v1 | its own, runc, v1 | crio, crun, v2, systemd |",
        "|---|---|---|---|---|",
        "| create | 1 (1 failed) | 1 |  | 1 |",
        "| lab |  |  | 1 |  |",
        "| all | 1 (1 failed) | 1 | 1 | 1 |",
    ]


def test_without_reports_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "CACHE", tmp_path)
    assert matrix.main() == 1
    assert "run .ci/run" in capsys.readouterr().err
