"""`make image` picks the engine that runs here and passes arguments on. The engines are fakes on PATH: nothing is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

EPOCH = "1700000000"
Image = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def image(root: Path, tmp_path: Path) -> Image:
    """`make image` with these engines on PATH: name → whether `NAME version` succeeds, as docker's does only with its daemon."""
    engines = tmp_path / "engines"
    engines.mkdir()
    for tool in ("sh", "env", "dirname", "sed", "make"):
        (engines / tool).symlink_to(str(shutil.which(tool)))

    def run(found: dict[str, bool], *variables: str) -> subprocess.CompletedProcess[str]:
        for name, runs in found.items():
            program = engines / name
            program.write_text(
                f'#!/bin/sh\nif [ "$1" = version ]; then exit {0 if runs else 1}; fi\n'
                f"echo built in $PWD by {name} with buildkit $DOCKER_BUILDKIT, isolation $BUILDAH_ISOLATION\n"
                'for a in "$@"; do echo "<$a>"; done\n'
            )
            program.chmod(0o755)
        command = ["make", "--no-print-directory", "-C", str(root), "image", "IMAGE=r.example/k:1", *variables]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")} | {"PATH": str(engines)}
        environment.setdefault("SOURCE_DATE_EPOCH", EPOCH)
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


def arguments(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return [line[1:-1] for line in done.stdout.splitlines() if line.startswith("<")]


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ({"docker": True, "podman": True, "buildah": True}, "docker"),
        ({"docker": False, "podman": True, "buildah": True}, "podman"),
        ({"podman": True, "buildah": True}, "podman"),
        ({"docker": False, "buildah": True}, "buildah"),
    ],
    ids=["all", "docker without its daemon", "no docker", "buildah alone"],
)
def test_the_first_engine_that_runs_builds(image: Image, root: Path, found: dict[str, bool], chosen: str) -> None:
    done = image(found)
    assert f"built in {root} by {chosen} with buildkit 1, isolation chroot" in done.stdout
    timestamp = [] if chosen == "docker" else ["--timestamp", EPOCH]
    epoch = ["--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}", *timestamp]
    assert arguments(done) == ["build", "--tag", "r.example/k:1", *epoch, "."]


def test_another_engine_can_be_named(image: Image) -> None:
    assert "by nerdctl " in image({"docker": True, "nerdctl": False}, "ENGINE=nerdctl").stdout


@pytest.mark.parametrize("found", [{}, {"docker": False}], ids=["none", "docker without its daemon"])
def test_without_an_engine_it_says_what_to_do(image: Image, found: dict[str, bool]) -> None:
    done = image(found)
    assert done.returncode != 0
    assert "install one, start docker's daemon, or give ENGINE=PROGRAM" in done.stderr


def test_base_index_and_certificates_are_passed_on(image: Image, tmp_path: Path) -> None:
    ca = tmp_path / "my ca.pem"
    ca.write_text("-----BEGIN CERTIFICATE-----\n")
    done = image(
        {"buildah": True},
        "PYTHON_IMAGE=r.example/python:3.13",
        "PACKAGE_INDEX=https://i.example/simple",
        f"CA_FILE={ca}",
    )
    assert arguments(done)[3:9] == [
        "--build-arg",
        "PYTHON_IMAGE=r.example/python:3.13",
        "--build-arg",
        "PIP_INDEX_URL=https://i.example/simple",
        "--secret",
        f"id=ca,src={ca}",
    ]


def test_the_time_in_the_image_is_that_of_the_last_commit(
    image: Image, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without git or a repository it is a fixed one: zip files, such as wheels, know no earlier year than 1980."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert "SOURCE_DATE_EPOCH=315532800" in arguments(image({"buildah": True}))
    commit = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=root, capture_output=True, text=True)
    if commit.returncode == 0:
        (tmp_path / "engines" / "git").symlink_to(str(shutil.which("git")))
        assert f"SOURCE_DATE_EPOCH={commit.stdout.strip()}" in arguments(image({"buildah": True}))


def test_certificates_that_are_not_there_are_named(image: Image) -> None:
    done = image({"docker": True}, "CA_FILE=/nowhere/ca.pem")
    assert done.returncode != 0
    assert "CA_FILE: /nowhere/ca.pem cannot be read" in done.stderr


def test_the_dockerfile_takes_what_is_passed_on(root: Path) -> None:
    dockerfile, script = (root / "Dockerfile").read_text(), (root / "tools/image.sh").read_text()
    for argument in ("PYTHON_IMAGE", "PIP_INDEX_URL", "SOURCE_DATE_EPOCH"):
        assert f"\nARG {argument}" in dockerfile
        assert f'--build-arg "{argument}=' in script
    assert "--mount=type=secret,id=ca,target=/run/ca.pem" in dockerfile
    assert "id=ca,src=" in script
