#!/usr/bin/env python3
"""Make a base image with Python for koordnri's image, where no registry can be reached: debootstrap, from this machine's apt sources.

    tools/debian_base.py TARGET.tar        as root, on Debian 12 or later; 30 s of CPU time

    make image ENGINE=buildah PYTHON_IMAGE=oci-archive:TARGET.tar CA_FILE=/etc/ssl/certs/ca-certificates.crt

It has the machine's own release: what debootstrap's variant `minbase` needs to run, python3 and python3-venv. What only installs
packages, documents, translations and package lists are taken out; copyright files stay, and dpkg's list of what is installed, for
scanners. Of the machine itself nothing is left in it.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from lab import apt, image

NAME = "koordnri.test/debian-python:1"
INCLUDED = ("python3", "python3-venv")
EXCLUDED = (
    *(
        "apt",
        "libapt-pkg6.0",
        "gpgv",
        "debian-archive-keyring",
        "libgnutls30",
        "libp11-kit0",
        "libhogweed6",
        "libnettle8",
    ),
    *("libunistring2", "libidn2-0", "libtasn1-6", "libxxhash0", "libstdc++6", "libseccomp2", "adduser", "tzdata"),
    *("e2fsprogs", "logsave", "libext2fs2", "libcom-err2", "libss2"),
)
"""Never installed: apt, what creates file systems and users, and what only these need. A name that a release does not have is no error."""
REMOVED = ("perl-base", "debconf", "ca-certificates", "openssl", "login", "passwd", "mount")
"""Needed while packages are set up, and not afterwards."""
DROPPED = (
    *(
        "usr/share/man",
        "usr/share/locale",
        "usr/share/info",
        "usr/share/lintian",
        "usr/share/zoneinfo",
        "usr/share/perl5",
    ),
    *(
        "var/cache",
        "var/lib/apt",
        "var/log",
        "etc/apt",
        "etc/hostname",
        "etc/resolv.conf",
        "etc/fstab",
        "etc/localtime",
    ),
    *("etc/shadow", "etc/gshadow", "etc/passwd-", "etc/group-", "etc/.pwd.lock", "etc/ssl/certs", "debootstrap"),
)
"""Nobody reads them in a container, or they hold this machine's names or the time of the installation."""
KEPT_DOCUMENT = "copyright"
CONFIG: dict[str, object] = {"Cmd": ["python3"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]}
NEEDED = "import bz2, ctypes, ensurepip, hashlib, lzma, select, socket, ssl, sqlite3, venv, zlib"
"""What the build and koordnri import of the standard library beyond plain Python."""


def make(target: Path) -> None:
    """Write the base as an OCI archive to `target`; needs root and debootstrap.

    Raises apt.AptError where the machine's apt sources name no archive, CalledProcessError, or OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="debian-base", dir=target.parent) as folder:
        tree = Path(folder) / "tree"
        started = time.time()
        _debootstrap(tree)
        for package in REMOVED:
            _remove_package(tree, package)
        _drop(tree)
        _run("chroot", str(tree), "/usr/bin/python3", "-B", "-c", NEEDED)
        image.write_archive(_layer(tree, started), CONFIG, NAME, target)


def _debootstrap(tree: Path) -> None:
    own = apt.machine_suite()
    source = apt.derive(apt.machine_sources(), own, own)
    options = ["--variant=minbase", f"--include={','.join(INCLUDED)}", f"--exclude={','.join(EXCLUDED)}"]
    if source.trusted.lower() in ("yes", "true"):
        options.append("--no-check-gpg")
    elif source.signed_by.startswith("/"):
        options.append(f"--keyring={source.signed_by}")
    # debootstrap fetches by wget, which does not know apt's proxy.
    proxy = _run("apt-config", "shell", "proxy", "Acquire::http::Proxy").partition("=")[2].strip().strip("'")
    environment = {"http_proxy": proxy} if proxy else {}
    _run("debootstrap", *options, own, str(tree), source.uri, **environment)


def _remove_package(tree: Path, package: str) -> None:
    """Remove a package's files and its entry in dpkg's lists. dpkg is not used: its scripts could run on the machine."""
    records = [*_glob(tree, f"{package}.*"), *_glob(tree, f"{package}:*.*")]
    for record in records:
        if record.suffix == ".list":
            for name in record.read_text().splitlines():
                _unlink(tree, name)
        record.unlink()
    status = tree / "var/lib/dpkg/status"
    stanzas = status.read_text().split("\n\n")
    status.write_text("\n\n".join(stanza for stanza in stanzas if not stanza.startswith(f"Package: {package}\n")))


def _glob(tree: Path, pattern: str) -> list[Path]:
    return sorted((tree / "var/lib/dpkg/info").glob(pattern))


def _unlink(tree: Path, name: str) -> None:
    """Remove a file or a link of the tree, by its absolute path inside. A directory stays, and so does a link to one, such as /bin."""
    path = tree / name.lstrip("/")
    # A link in the tree may be absolute, and would then lead out of it.
    if path.parent.resolve().is_relative_to(tree.resolve()) and not path.is_dir():
        path.unlink(missing_ok=True)


def _drop(tree: Path) -> None:
    for name in DROPPED:
        path = tree / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in sorted((tree / "usr/share/doc").rglob("*"), reverse=True):
        if path.is_symlink() or path.is_file():
            if path.name != KEPT_DOCUMENT:
                path.unlink()
        else:
            with contextlib.suppress(OSError):  # not empty
                path.rmdir()
    for name in ("var/cache", "var/log", "etc/ssl/certs"):
        (tree / name).mkdir(mode=0o755, parents=True)


def _layer(tree: Path, started: float) -> bytes:
    """The tree as a tar archive. What has no time of its package, for it was made since `started`, gets that of the newest that has one."""
    paths = sorted(path for path in tree.rglob("*"))
    newest = max((int(mtime) for mtime in (path.lstat().st_mtime for path in paths) if mtime < started), default=0)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in paths:
            info = archive.gettarinfo(path, str(path.relative_to(tree)))
            if info is None or info.isdev():  # a runtime makes /dev itself
                continue
            info.uname = info.gname = ""
            info.mtime = min(int(info.mtime), newest)
            if info.isreg():
                with path.open("rb") as file:
                    archive.addfile(info, file)
            else:
                archive.addfile(info)
    return out.getvalue()


def _run(*command: str, **environment: str) -> str:
    variables = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", **environment}
    done = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # CalledProcessError prints the command and its code only.
        print((done.stdout + done.stderr)[-4000:], file=sys.stderr)
    done.check_returncode()
    return done.stdout


def main() -> int:
    """Return the exit code."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        make(Path(sys.argv[1]).resolve())
    except (apt.AptError, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
