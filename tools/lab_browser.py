"""A Chromium for the tests of the page: Debian's package, which Playwright drives in place of a build of its own."""

from __future__ import annotations

import os
import shutil
import subprocess

PACKAGE = "chromium-headless-shell"
PROGRAMS = (PACKAGE, "chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """The path of a Chromium on this machine; None without one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def setup(_lab_dir: object = None) -> str:
    """Return a Chromium's path; as root on Debian an absent one is installed by apt-get (60 MB).

    Raises FileNotFoundError when there is none to be had, CalledProcessError when its installation fails.
    """
    if found := program():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", PACKAGE, "fonts-dejavu-core"]
        subprocess.run(command, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if found := program():
            return found
    raise FileNotFoundError(f"none of {', '.join(PROGRAMS)} is on PATH; install Debian's package {PACKAGE}")


if __name__ == "__main__":
    print(setup())
