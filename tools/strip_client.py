"""Take out of an environment what koordnri does not need of the official kubernetes client: 120 of its 126 MB.

    tools/strip_client.py SITE_PACKAGES

koordnri uses the client's configuration, credentials and TLS, and talks to the API server by urllib3. It needs none of the generated
model and API classes, and not the asynchronous copy of the client. The image is built with this (Dockerfile), and
tests/deploy/test_strip_client.py runs koordnri's own tests of the client against what is left.

Ends with 1 and a message when the client does not look as expected: then a new version has to be looked at.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

GENERATED = ("aio", "client/api", "client/models")
"""Folders of the client, with nothing that koordnri uses."""
ASYNCHRONOUS = (
    "aiohttp",
    "aiohttp_retry",
    "aiohappyeyeballs",
    "aiosignal",
    "frozenlist",
    "multidict",
    "propcache",
    "yarl",
)
"""Packages that only `kubernetes.aio` uses."""
INITS = {
    "__init__.py": "from . import client, config\n",
    "client/__init__.py": (
        "from importlib import import_module\n"
        "\n"
        "from kubernetes.client.configuration import Configuration\n"
        "\n"
        "\n"
        "def __getattr__(name):\n"
        "    if name == 'ApiClient':\n"
        "        return import_module('kubernetes.client.api_client').ApiClient\n"
        "    raise AttributeError(name)\n"
    ),
    "client/models/__init__.py": "",
}
"""What stands in the place of the files that import everything."""
LICENSE = (
    "# Shortened by koordnri's tools/strip_client.py; the original is part of the kubernetes client, Apache-2.0.\n"
)


def strip(site: Path) -> None:
    """Strip the client in `site`. Raises FileNotFoundError for what is expected there and is not."""
    client = site / "kubernetes"
    for folder in GENERATED:
        shutil.rmtree(client / folder)
    for file, text in INITS.items():
        path = client / file
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)  # not written in place: the file may be a hard link
        path.write_text(LICENSE + text)
        for compiled in path.parent.glob("__pycache__/__init__.*.pyc"):
            compiled.unlink()
    for name in ASYNCHRONOUS:
        shutil.rmtree(site / name)
        for described in site.glob(f"{name}-*.dist-info"):
            shutil.rmtree(described)


def main() -> int:
    """Return the exit code."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        strip(Path(sys.argv[1]))
    except FileNotFoundError as error:
        print(
            f"{error.filename} is not there: this version of the kubernetes client has another layout; see tools/strip_client.py"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
