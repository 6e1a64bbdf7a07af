"""docs/reference/runtimes.md 5 and the README name the versions of the runtimes that Go builds for the end-to-end tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("page", "begins"), [("docs/reference/runtimes.md", "## 5. What is tested"), ("README.md", "Tested:")]
)
@pytest.mark.parametrize(
    ("tool", "module"), [("containerd", "github.com/containerd/containerd/v2"), ("crio", "github.com/cri-o/cri-o")]
)
def test_a_page_names_the_version_that_go_builds(page: str, begins: str, tool: str, module: str) -> None:
    built = re.search(rf"{module} v(\S+)", (ROOT / "tools" / tool / "go.mod").read_text())
    assert built is not None
    assert built[1] in (ROOT / page).read_text().partition(begins)[2]
