"""What CRI-O needs beside itself: the test image in a store, and conmon for the virtual machine.

buildah puts the image into the store, for CRI-O reads no archive. The machine has no buildah and no conmon; it takes both from here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import lab_image
from lab import apt
from vm.build import SUITE

NAME = "crio-parts"
PACKAGES = ("conmon", "libglib2.0-0t64", "libatomic1")
"""conmon, its monitor of containers, of the suite that the machine runs, and those of its libraries that the machine lacks."""


def setup(lab_dir: Path) -> Path:
    """Return `lab_dir`/crio-parts with store/ and usr/, made if they are missing or the image is another one.

    The image must be there (lab_setup.setup_host). As root on Debian, an absent buildah is installed by apt-get. Raises apt.AptError,
    FileNotFoundError or CalledProcessError with the package, program or command that failed.
    """
    target = lab_dir / NAME
    target.mkdir(parents=True, exist_ok=True)
    with apt.locked(target / "lock"):
        image = lab_dir / "images" / "busybox.tar"
        stamp = target / "stamp"
        fingerprint = hashlib.sha256(image.read_bytes() + Path(__file__).read_bytes()).hexdigest()
        if not (stamp.exists() and stamp.read_text() == fingerprint):
            lab_image.install(("buildah",))
            _fill_store(image, target / "store")
            for deb in apt.download(lab_dir, SUITE, list(PACKAGES)):
                apt.unpack(deb, target)
            stamp.write_text(fingerprint)
    return target


def _fill_store(image: Path, store: Path) -> None:
    if store.exists():
        shutil.rmtree(store)
    with tempfile.TemporaryDirectory() as temporary:
        policy = Path(temporary, "policy.json")
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        where = ["--root", store, "--runroot", Path(temporary, "run"), "--storage-driver", "vfs"]
        pull = ["pull", "--quiet", "--signature-policy", policy, f"oci-archive:{image}"]
        subprocess.run(["buildah", *where, *pull], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    print(setup(Path(".cache/lab")))
