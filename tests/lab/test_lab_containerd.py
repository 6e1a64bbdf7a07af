"""What tools/lab_containerd.py builds, and when: once for each list of versions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
GO = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/calls"
mkdir -p "$GOBIN"
for name in containerd containerd-shim-runc-v2 ctr; do : >"$GOBIN/$name"; done
"""


@pytest.fixture
def lab_containerd(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script, which finds its modules beside itself."""
    monkeypatch.syspath_prepend(str(TOOLS))
    before = set(sys.modules)
    import lab_containerd  # type: ignore[import-not-found]

    yield lab_containerd
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `go` on PATH that makes empty programs; the file has its arguments, one call a line."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    return go.with_name("calls")


def test_programs_lie_where_debians_package_has_them(lab_containerd: ModuleType, calls: Path, tmp_path: Path) -> None:
    built = lab_containerd.setup(tmp_path / "lab")
    assert built == tmp_path / "lab" / "containerd-2.4"
    assert sorted(path.name for path in (built / "usr/bin").iterdir()) == [
        "containerd",
        "containerd-shim-runc-v2",
        "ctr",
    ]
    assert calls.read_text().count("install") == 1


def test_it_is_built_again_only_for_other_versions(
    lab_containerd: ModuleType, calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.sum").write_text("one\n")
    monkeypatch.setattr(lab_containerd, "MODULE", module)
    for _ in range(2):
        lab_containerd.setup(tmp_path / "lab")
    assert len(calls.read_text().splitlines()) == 1

    (module / "go.sum").write_text("two\n")
    lab_containerd.setup(tmp_path / "lab")
    assert len(calls.read_text().splitlines()) == 2


def test_a_build_that_failed_is_tried_again(lab_containerd: ModuleType, calls: Path, tmp_path: Path) -> None:
    go = calls.with_name("go")
    go.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(subprocess.CalledProcessError):
        lab_containerd.setup(tmp_path / "lab")

    go.write_text(GO)
    assert (lab_containerd.setup(tmp_path / "lab") / "usr/bin/containerd").exists()
