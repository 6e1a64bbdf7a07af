"""Print the image's bill of materials (CycloneDX 1.5, JSON): koordnri and every Python package that is installed beside it.

    tools/sbom.py ENVIRONMENT >sbom.cdx.json

It reads what is installed in a virtual environment, after tools/strip_client.py, and not the lock file: the lock file also names
packages of other platforms, and those that the image leaves out. The Dockerfile keeps the result as /opt/koordnri/sbom.cdx.json. What
the base image has of its own is not in it. The same environment gives the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

OWN = "koordnri"


def bill(environment: Path) -> dict[str, Any]:
    """The bill of a virtual environment. Raises ValueError when koordnri is not installed in it."""
    sites = sorted(map(str, environment.glob("lib/python3*/site-packages")))
    found = {_name(installed): installed for installed in distributions(path=sites)}
    own = found.pop(OWN, None)
    if own is None:
        raise ValueError(
            f"{environment}: expected an environment with {OWN}, found {', '.join(sorted(found)) or 'no package'}"
        )
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _component(own, "application")},
        "components": [_component(found[name], "library") for name in sorted(found)],
    }


def _component(installed: Distribution, kind: str) -> dict[str, Any]:
    name = _name(installed)
    purl = f"pkg:pypi/{name}@{installed.version}"
    component: dict[str, Any] = {
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": installed.version,
        "purl": purl,
    }
    licenses = _licenses(installed)
    return component | ({"licenses": licenses} if licenses else {})


def _name(installed: Distribution) -> str:
    """The normalized name of a package, as in its purl."""
    return re.sub(r"[-_.]+", "-", installed.metadata["Name"]).lower()


def _licenses(installed: Distribution) -> list[dict[str, Any]]:
    """What the package states of its licence: an SPDX expression, else its classifiers, else a name on one line."""
    metadata = installed.metadata
    if expression := metadata.get("License-Expression"):
        return [{"expression": expression}]
    classifiers = [line for line in metadata.get_all("Classifier") or () if line.startswith("License ::")]
    names = [line.rpartition(" :: ")[2] for line in classifiers] or [metadata.get("License") or ""]
    return [{"license": {"name": name}} for name in names if name and "\n" not in name]


def main() -> int:
    """Return the exit code."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        print(json.dumps(bill(Path(sys.argv[1])), indent=1))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
