"""The container image, built by `tools/image.sh` with buildah on the laboratory's base, in a store of its own.

The wheels come from an index on this machine, which pip fills beforehand with this machine's own settings.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.e2e import lab

BASE = lab.LAB_DIR / "image" / "base.tar"
NAME = "koordnri.test/koordnri:1"
LOCKS = ("requirements.lock", "requirements-build.lock")


@dataclass(frozen=True, slots=True)
class Image:
    """What was built."""

    archive: Path
    """as `docker save` writes it"""
    digest: str
    layers: list[int]
    """bytes of each layer, the base's first"""
    paths: set[str]
    """of the files in the last layer"""


class Builder:
    """buildah with its storage below `work`."""

    def __init__(self, work: Path, index: str) -> None:
        """`index`: URL of a package index."""
        work.mkdir()
        store = work / "storage.conf"
        # Without a driver's name buildah takes overlay, and vfs where that cannot be had.
        store.write_text(f'[storage]\ndriver = ""\nrunroot = "{work}/run"\ngraphroot = "{work}/store"\n')
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
            "CONTAINERS_STORAGE_CONF": str(store),
            "ENGINE": "buildah",
            "PYTHON_IMAGE": f"oci-archive:{BASE}",
            "PACKAGE_INDEX": index,
            "no_proxy": "127.0.0.1",
        }

    def build_and_save(self, archive: Path) -> Image:
        """Build the image of this checkout from nothing, and write it to `archive`."""
        self._run(str(lab.ROOT / "tools/image.sh"), NAME)
        digest = self._run("buildah", "images", "--format", "{{.Digest}}", NAME).strip()
        self._run("buildah", "push", "--quiet", NAME, f"docker-archive:{archive}:{NAME}")
        return _read(archive, digest)

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: exit {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}"
        return done.stdout


def _read(archive: Path, digest: str) -> Image:
    """An image that was saved."""
    with tarfile.open(archive) as whole:
        manifest = whole.extractfile("manifest.json")
        assert manifest is not None
        (described,) = json.load(manifest)
        members = [whole.getmember(name) for name in described["Layers"]]
        sizes = [(whole.getmember(m.linkname) if m.issym() else m).size for m in members]
        last = whole.extractfile(members[-1])
        assert last is not None
        with tarfile.open(fileobj=last) as layer:
            return Image(archive, digest, sizes, set(layer.getnames()))


@contextmanager
def package_index(work: Path) -> Iterator[str]:
    """URL of an index with the wheels of the lock files, for the base's Python, while the context lasts."""
    wheels = work / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command += ["--only-binary=:all:", "--python-version", _python_of_base(), "--dest", str(wheels)]
    for lock in LOCKS:
        # One after the other: the locks may name different versions of one package.
        subprocess.run([*command, "--requirement", str(lab.ROOT / lock)], check=True)
    # One directory per package, with links to its files: what the server shows of these is the index that pip wants.
    for wheel in wheels.iterdir():
        name = re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower()
        (work / "index" / name).mkdir(parents=True, exist_ok=True)
        (work / "index" / name / wheel.name).symlink_to(wheel)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(work / "index")))
    Thread(target=server.serve_forever, name="index", daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def _python_of_base() -> str:
    """Its version, such as 3.11."""
    with tarfile.open(BASE) as archive:
        blob = archive.extractfile(max(archive.getmembers(), key=lambda member: member.size))
        assert blob is not None
        with tarfile.open(fileobj=blob) as layer:
            found = [re.fullmatch(r"usr/bin/python(3\.\d+)", name) for name in layer.getnames()]
    (version,) = [match[1] for match in found if match]
    return str(version)
