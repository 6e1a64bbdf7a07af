"""The job that runs tests/e2e in the virtual machine: this checkout, the laboratory's runtimes, and a script."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import lab
from tests.kube import control_plane
from tests.kube.api_server import ApiServer
from tools.vm import facts

REPO_PARTS = ("koordnri", "hooks", "tests", "tools", "examples", "deploy", "pyproject.toml")
"""What of the checkout the suite reads; git's directory, environments and caches stay outside."""

OCI_RUNTIMES = {"runc": "/usr/sbin/runc", "crun": "/usr/bin/crun"}
"""Where the guest has them."""

HOST_ADDRESS = control_plane.SERVICE_ADDRESS
"""Under it the guest reaches this host's 127.0.0.1."""
NETWORK = (f"ip address add {HOST_ADDRESS.rpartition('.')[0]}.15/24 dev eth0", "ip link set eth0 up")
"""Commands that bring the guest's network card up. There is no route to anywhere else."""

LAB_PARTS = ("images", "cri", "nri-proto")
"""Beside the runtimes. Runc and crun are the guest's own, newer ones than the machine outside can run."""

_PYTEST = (
    "python3",
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    "--color=no",
    "-v",
)


@dataclass(frozen=True, slots=True)
class Share:
    """What one pytest in the machine runs: on which runtime, on which of OCI_RUNTIMES, and pytest's arguments."""

    runtime: str
    oci_runtime: str
    arguments: tuple[str, ...] = ("tests/e2e",)

    @property
    def name(self) -> str:
        """Such as containerd-2-runc; a machine has each once."""
        return f"{self.runtime}-{self.oci_runtime}"

    @property
    def report(self) -> str:
        """File name of its JUnit report in /out."""
        return f"junit-{self.name}.xml"


def make(job_dir: Path, repo: Path, lab_dir: Path, shares: Sequence[Share], server: ApiServer | None = None) -> None:
    """Fill `job_dir` for run_job: cgroup v2, the systemd driver, and `shares`, one after the other.

    `server`, under the URL by which the machine reaches it, is what tests there have as lab.API_SERVER.
    It leaves their reports and facts (see tools/vm/facts.py) in /out, and ends with the exit code of the first pytest that failed.
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
    runtimes = dict.fromkeys(share.runtime for share in shares)
    for name in (*LAB_PARTS, *runtimes, *(("crio-parts",) if lab.CRIO in runtimes else ())):
        _link_tree(lab_dir / name, job_dir / "lab" / name)
    environment = {
        "KOORDNRI_LAB_DIR": "/job/lab",
        "KOORDNRI_E2E_SYSTEMD": "1",
        # In there nothing may be skipped either, wherever the machine itself runs.
        "CI": "true",
        # Everything takes ten times as long.
        "PYTEST_TIMEOUT": "300",
    }
    if server is not None:
        _write_server(server, job_dir / "apiserver")
        environment["KOORDNRI_E2E_APISERVER"] = "/job/apiserver"
    lines = [
        facts.SCRIPT,
        *(() if server is None else NETWORK),
        "cd /job/repo",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        "code=0",
        *(_run(share) for share in shares),
        "exit $code",
    ]
    (job_dir / "run").write_text("\n".join(lines) + "\n")
    (job_dir / "run").chmod(0o755)


def _run(share: Share) -> str:
    variables = f"KOORDNRI_E2E_RUNTIMES={share.runtime} KOORDNRI_E2E_RUNC={OCI_RUNTIMES[share.oci_runtime]}"
    pytest = shlex.join((*_PYTEST, f"--junitxml=/out/{share.report}", *share.arguments))
    return f"{variables} {pytest} || code=$((code ? code : $?))"


def _write_server(server: ApiServer, directory: Path) -> None:
    directory.mkdir()
    (directory / "url").write_text(server.url)
    shutil.copyfile(server.certificate, directory / "ca.crt")


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
