"""The job that runs tests/e2e in the virtual machine: this checkout, the laboratory's runtimes, and a script."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.vm import facts

REPO_PARTS = ("koordnri", "hooks", "tests", "tools", "examples", "pyproject.toml")
"""What of the checkout the suite reads; git's directory, environments and caches stay outside."""

REPORT = "junit.xml"
CRUN_REPORT = "junit-crun.xml"

LAB_PARTS = ("containerd-1.7", "containerd-2", "images", "cri", "nri-proto")
"""Runc and crun are the guest's own, newer ones than the machine outside can run."""

_PYTEST = (
    "python3",
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    "--color=no",
    "-v",
)


def make(
    job_dir: Path,
    repo: Path,
    lab_dir: Path,
    runtimes: Sequence[str],
    arguments: Sequence[str] = ("tests/e2e",),
    under_crun: Sequence[str] = (),
) -> None:
    """Fill `job_dir` for run_job: cgroup v2, systemd driver, `runtimes`; `arguments` go to pytest, under runc.

    under_crun   arguments of a second run in the same machine; none without

    It leaves junit.xml, that of the second run, and facts (see tools/vm/facts.py) in /out, and ends with the exit code of the first
    pytest that failed.
    """
    job_dir.mkdir(parents=True)
    target = job_dir / "repo"
    for name in REPO_PARTS:
        if (repo / name).is_dir():
            shutil.copytree(repo / name, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        elif (repo / name).exists():
            target.mkdir(exist_ok=True)
            shutil.copy2(repo / name, target / name)
    _compile(lab_dir / "vm" / "root", target)
    _write_metadata(repo / "pyproject.toml", job_dir / "site")
    for name in LAB_PARTS:
        _link_tree(lab_dir / name, job_dir / "lab" / name)
    environment = {
        "KOORDNRI_LAB_DIR": "/job/lab",
        "KOORDNRI_E2E_RUNTIMES": ",".join(runtimes),
        "KOORDNRI_E2E_SYSTEMD": "1",
        # In there nothing may be skipped either, wherever the machine itself runs.
        "CI": "true",
        # Everything takes ten times as long.
        "PYTEST_TIMEOUT": "300",
    }
    lines = [
        facts.SCRIPT,
        "cd /job/repo",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        "code=0",
        _run("/usr/sbin/runc", REPORT, arguments),
        *([_run("/usr/bin/crun", CRUN_REPORT, under_crun)] if under_crun else []),
        "exit $code",
    ]
    (job_dir / "run").write_text("\n".join(lines) + "\n")
    (job_dir / "run").chmod(0o755)


def _run(oci_runtime: str, report: str, arguments: Sequence[str]) -> str:
    pytest = shlex.join((*_PYTEST, f"--junitxml=/out/{report}", *arguments))
    return f"KOORDNRI_E2E_RUNC={oci_runtime} {pytest} || code=$((code ? code : $?))"


def _compile(root: Path, repo: Path) -> None:
    """Byte code for the guest's Python, made out here: without KVM, compiling in there takes ten times as long."""
    usr = root / "usr"
    python = [f"{usr}/lib64/ld-linux-x86-64.so.2", "--library-path", f"{usr}/lib/x86_64-linux-gnu"]
    python += [f"{usr}/bin/python3.13", "-S", "-s", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run(
        [*python, "-s", str(repo), "-p", "/job/repo", str(repo / "koordnri"), str(repo / "hooks")],
        env={**os.environ, "PYTHONHOME": str(usr)},
        check=True,
    )


def _write_metadata(pyproject: Path, site: Path) -> None:
    """What installing would leave for importlib.metadata: version and entry points. The code itself is on sys.path."""
    project = tomllib.loads(pyproject.read_text())["project"]
    directory = site / f"{project['name']}-{project['version']}.dist-info"
    directory.mkdir(parents=True)
    (directory / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    (directory / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
            for group, entries in groups.items()
        )
    )


def _link_tree(source: Path, target: Path) -> None:
    """Copy by hard links where the file system allows, for the runtimes are 200 MB and only read."""

    def link(original: str, copy: str) -> str:
        try:
            os.link(original, copy, follow_symlinks=False)
        except OSError:
            shutil.copy2(original, copy, follow_symlinks=False)
        return copy

    shutil.copytree(source, target, symlinks=True, copy_function=link, ignore=shutil.ignore_patterns("__pycache__"))
