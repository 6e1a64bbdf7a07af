"""The image's bill of materials names what is installed in the environment, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools import sbom

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """As venv and pip leave one: koordnri, and three packages that state their licences in different ways."""
    site = tmp_path / "lib" / "python3.13" / "site-packages"
    stated = {
        "koordnri-0.1.0": "License-Expression: Apache-2.0",
        "PyYAML-6.0": "License: MIT",
        "zope.thing-2": "License: a whole text\n of several lines\nClassifier: License :: OSI Approved :: MIT License",
        "bare-1": "Summary: says nothing",
    }
    for distribution, header in stated.items():
        name, _, version = distribution.partition("-")
        folder = site / f"{distribution}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{header}\n")
    return tmp_path


def test_every_package_has_name_version_purl_and_licence(environment: Path) -> None:
    bill = sbom.bill(environment)
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.5", 1)
    own = bill["metadata"]["component"]
    assert (own["type"], own["purl"], own["licenses"]) == (
        "application",
        "pkg:pypi/koordnri@0.1.0",
        [{"expression": "Apache-2.0"}],
    )
    assert {c["purl"]: c.get("licenses") for c in bill["components"]} == {
        "pkg:pypi/bare@1": None,
        "pkg:pypi/pyyaml@6.0": [{"license": {"name": "MIT"}}],
        "pkg:pypi/zope-thing@2": [{"license": {"name": "MIT License"}}],
    }


def test_the_order_is_that_of_the_names(environment: Path) -> None:
    names = [component["name"] for component in sbom.bill(environment)["components"]]
    assert names == sorted(names)


def run(environment: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, ROOT / "tools/sbom.py", environment], capture_output=True, text=True)


def test_this_checkouts_own_environment_has_a_bill() -> None:
    done = run(Path(sys.prefix))
    assert done.returncode == 0, done.stderr
    bill: dict[str, Any] = json.loads(done.stdout)
    assert {"protobuf", "msgspec", "urllib3"} <= {component["name"] for component in bill["components"]}
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(set(references)) == len(references)


def test_an_environment_without_koordnri_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path}: expected an environment with koordnri" in done.stderr
