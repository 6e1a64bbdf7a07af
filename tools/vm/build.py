"""What boots: QEMU, kernel, initrd and root file system, each of trixie's packages, unpacked and never installed.

Every part has a stamp with all that it was made from, so an unchanged part is not made again. Nothing of it depends
on the machine beyond dpkg and mke2fs: QEMU comes with its own C library. Trixie's QEMU (10.0) is used because that of
Debian 12 (7.2) crashes in about one boot of four.
"""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

from lab import apt

from . import cpio, disk, guest

REPO = Path(__file__).resolve().parents[2]
SUITE = "trixie"
QEMU_PACKAGES = ["qemu-system-x86"]
KERNEL_PACKAGE = "linux-image-cloud-amd64"
MODULES = (
    *("drivers/block/virtio_blk", "fs/overlayfs/overlay"),
    *("net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net"),
)
"""Modules that the initrd loads, by their last names in alphabetical order. Those of the network each need the one before; ext4 and
virtio's bus are built in."""
ROOT_PACKAGES = [
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "gzip", "libc-bin", "sed", "tar"),
    *("util-linux", "mount", "iproute2", "procps", "systemd", "systemd-sysv", "dbus", "python3", "runc", "crun"),
    "libstdc++6",  # of grpcio's wheel
]
TEST_PACKAGES = ("pytest>", "pytest-timeout", "grpcio>")
"""What the suite inside needs of pyproject's development dependencies: how their lines begin."""
ROOT_SPARE_BYTES = 512 << 20
"""For what the job writes outside /job: images, containers, logs. A snapshot takes it, so the file stays as it is."""
_UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian")
# From new to old; pip expands none of them by itself. Trixie's C library is 2.41.
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (39, 34, 31, 28, 27, 26, 24, 17, 12, 5)]


def setup(lab_dir: Path) -> None:
    """Make every part below lab_dir/vm that is not there yet or was made of something else; needs root.

    Raises apt.AptError, OSError or CalledProcessError with the package or command that failed.
    """
    vm_dir = lab_dir / "vm"
    vm_dir.mkdir(parents=True, exist_ok=True)
    with (vm_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        own = Path(__file__).read_text()
        _part(vm_dir, "qemu", own, lambda target: _qemu(lab_dir, target))
        _part(vm_dir, "kernel", own + guest.INIT_SCRIPT, lambda target: _kernel(lab_dir, target))
        needs = (
            own
            + Path(guest.__file__).read_text()
            + Path(disk.__file__).read_text()
            + "".join(_requirements())
            + _lock_file().read_text()
        )
        _part(vm_dir, "root", needs, lambda target: _root(lab_dir, target))
        _part(vm_dir, "disk", needs, lambda target: _disk(vm_dir / "root", target))


def _part(vm_dir: Path, name: str, made_from: str, make: Callable[[Path], None]) -> None:
    stamp = vm_dir / f"{name}.stamp"
    fingerprint = hashlib.sha256(made_from.encode()).hexdigest()
    target = vm_dir / name
    if target.exists() and stamp.exists() and stamp.read_text() == fingerprint:
        return
    # Renamed into place, so that a run that was cut off leaves no half part under the final name.
    unfinished = vm_dir / f"{name}.new"
    for directory in (unfinished, target):
        if directory.exists():
            shutil.rmtree(directory)
    unfinished.mkdir()
    print(f"virtual machine: making {name}", flush=True)
    make(unfinished)
    unfinished.rename(target)
    stamp.write_text(fingerprint)


def _qemu(lab_dir: Path, target: Path) -> None:
    for deb in apt.download(lab_dir, SUITE, _closure(lab_dir, QEMU_PACKAGES)):
        apt.unpack(deb, target)
    _drop_unread(target)


def _kernel(lab_dir: Path, target: Path) -> None:
    (package,) = (name for name in _closure(lab_dir, [KERNEL_PACKAGE]) if re.match(r"linux-image-\d", name))
    kernel_deb, busybox_deb = apt.download(lab_dir, SUITE, [package, "busybox-static"])
    unpacked = target / "unpacked"
    for deb in (kernel_deb, busybox_deb):
        apt.unpack(deb, unpacked)
    (vmlinuz,) = unpacked.glob("boot/vmlinuz-*")
    vmlinuz.rename(target / "vmlinuz")
    (busybox,) = (path for path in unpacked.glob("**/bin/busybox") if not path.is_symlink())
    entries = [cpio.directory(name) for name in ("bin", "dev", "lib", "mnt", "proc")]
    entries += [cpio.console(), cpio.file("bin/busybox", busybox.read_bytes(), 0o755)]
    entries.append(cpio.file("init", guest.INIT_SCRIPT.encode(), 0o755))
    for name in MODULES:
        (module,) = unpacked.glob(f"usr/lib/modules/*/kernel/{name}.ko.xz")
        entries.append(cpio.file(f"lib/{Path(name).name}.ko", lzma.decompress(module.read_bytes())))
    (target / "initrd").write_bytes(cpio.pack(entries))
    shutil.rmtree(unpacked)


def _root(lab_dir: Path, target: Path) -> None:
    for deb in apt.download(lab_dir, SUITE, _closure(lab_dir, ROOT_PACKAGES)):
        apt.unpack(deb, target)
    _drop_unread(target)
    # What the packages' own scripts would have done.
    for name in ("passwd", "group"):
        shutil.copyfile(target / f"usr/share/base-passwd/{name}.master", target / "etc" / name)
    _run("chroot", str(target), "systemd-sysusers")
    _run("chroot", str(target), "ldconfig")
    _configure(target)
    _python_packages(target)


def _configure(target: Path) -> None:
    for directory in ("job", "out", "root", "dev", "proc", "sys", "run", "tmp"):
        (target / directory).mkdir(exist_ok=True)
    texts = {
        "etc/hostname": "lab\n",
        "etc/hosts": "127.0.0.1 localhost lab\n",
        "etc/fstab": "",
        "etc/resolv.conf": "# no name server\n",  # containerd copies it into every sandbox
        "etc/machine-id": "",
        "etc/systemd/system/lab-job.service": guest.JOB_UNIT,
        "etc/systemd/system/lab.target": guest.TARGET_UNIT,
        f"{guest.PACKAGES_DIR}/job.pth": guest.PATH_FILE_TEXT,
        guest.JOB: guest.JOB_SCRIPT,
    }
    for name, text in texts.items():
        path = target / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (target / guest.JOB.lstrip("/")).chmod(0o755)
    units = target / "etc/systemd/system"
    (units / "default.target").symlink_to("lab.target")
    for unit in guest.MASKED_UNITS:
        (units / unit).symlink_to("/dev/null")


def _python_packages(target: Path) -> None:
    """The dependencies as wheels for the guest's Python, of the versions that the lock file names.

    Without its hashes: with them pip wants every requirement itself to be pinned, and pyproject's are not.
    """
    site = target / guest.PACKAGES_DIR.lstrip("/")
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    wheels = ("--only-binary=:all:", "--implementation", "cp", "--python-version", guest.PYTHON, *platforms)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        pinned = re.findall(
            r"^[A-Za-z0-9][^ ;\\]*==[^ ;\\]+(?: ;[^\\\n]*)?", _lock_file().read_text(), flags=re.MULTILINE
        )
        constraints.write("\n".join(pinned) + "\n")
        constraints.flush()
        _run(*pip, *wheels, "--constraint", constraints.name, "--target", str(site), *_requirements())
    # Without KVM compiling is slow, and the root disk forgets what a run compiled. "unchecked": the packing changes
    # modification times, and nobody edits these files.
    sources = (guest.PACKAGES_DIR, f"/usr/lib/python{guest.PYTHON}")
    compiler = ("python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
    _run("chroot", str(target), *compiler, "-x", "/(test|tests|idlelib)/", *sources)


def _disk(root: Path, target: Path) -> None:
    disk.pack(root, target / "root.ext4", ROOT_SPARE_BYTES)


def _closure(lab_dir: Path, packages: list[str]) -> list[str]:
    """Names of `packages` and all that they depend on, as for a machine on which nothing is installed."""
    # Also makes apt's private configuration, and brings its package lists up to date.
    apt.download(lab_dir, SUITE, packages)
    config = str(lab_dir / "apt" / SUITE / "apt.conf")
    printed = _run("apt-get", "-c", config, "-o", "APT::Install-Recommends=false", "--simulate", "install", *packages)
    return [line.split()[1] for line in printed.splitlines() if line.startswith("Inst ")]


def _requirements() -> list[str]:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    development = project["optional-dependencies"]["dev"]
    return [*project["dependencies"], *(item for item in development if item.startswith(TEST_PACKAGES))]


def _lock_file() -> Path:
    return REPO / "requirements-dev.lock"


def _drop_unread(target: Path) -> None:
    for name in _UNREAD:
        shutil.rmtree(target / name, ignore_errors=True)


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        # CalledProcessError prints the command and its code only.
        print(done.stdout + done.stderr, file=sys.stderr)
    done.check_returncode()
    return done.stdout
