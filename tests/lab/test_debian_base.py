"""What tools/debian_base.py does to debootstrap's tree: packages and documents are taken out, and nothing outside of it is touched."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
PACKAGED_S, STARTED_S, MADE_S = 1_000_000_000, 1_600_000_000, 1_700_000_000


@pytest.fixture
def debian_base(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script, which finds its modules beside itself."""
    monkeypatch.syspath_prepend(str(TOOLS))
    before = set(sys.modules)
    import debian_base  # type: ignore[import-not-found]

    yield debian_base
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two packages, one of which lists a file behind a link that leads out of the tree."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("of the machine")
    tree = tmp_path / "tree"
    info = tree / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "bin").symlink_to("usr/bin")
    (tree / "escape").symlink_to(outside)
    for name in ("perl", "sh"):
        (tree / "usr/bin" / name).write_text(name)
    (info / "perl-base.list").write_text("/.\n/bin\n/bin/perl\n/escape/precious\n/usr/absent\n")
    (info / "perl-base:amd64.md5sums").write_text("")
    (info / "perl-based.list").write_text("/usr/bin/sh\n")
    (tree / "var/lib/dpkg/status").write_text("Package: perl-base\nVersion: 5\n\nPackage: perl-based\nVersion: 1\n")
    return tree


def test_a_removed_package_is_gone_with_its_entries(debian_base: ModuleType, tree: Path) -> None:
    debian_base._remove_package(tree, "perl-base")
    assert [path.name for path in sorted((tree / "usr/bin").iterdir())] == ["sh"]
    assert (tree / "bin").is_symlink()
    assert [path.name for path in (tree / "var/lib/dpkg/info").iterdir()] == ["perl-based.list"]
    assert (tree / "var/lib/dpkg/status").read_text() == "Package: perl-based\nVersion: 1\n"


def test_a_link_out_of_the_tree_is_not_followed(debian_base: ModuleType, tree: Path) -> None:
    debian_base._remove_package(tree, "perl-base")
    assert (tree.parent / "outside/precious").read_text() == "of the machine"


def test_of_the_documents_only_copyright_files_stay(debian_base: ModuleType, tree: Path) -> None:
    for name in ("a/copyright", "a/changelog.gz", "b/examples/x"):
        path = tree / "usr/share/doc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tree / "etc").mkdir()
    (tree / "etc/hostname").write_text("this-machine")

    debian_base._drop(tree)

    documents = [str(path.relative_to(tree / "usr/share/doc")) for path in (tree / "usr/share/doc").rglob("*")]
    assert sorted(documents) == ["a", "a/copyright"]
    assert not (tree / "etc/hostname").exists()


def test_the_layer_has_no_time_of_its_making(debian_base: ModuleType, tree: Path) -> None:
    for path in tree.rglob("*"):
        os.utime(path, (MADE_S, MADE_S), follow_symlinks=False)
    os.utime(tree / "usr/bin/sh", (PACKAGED_S, PACKAGED_S))

    layer = debian_base._layer(tree, STARTED_S)

    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        members = archive.getmembers()
    assert {member.mtime for member in members} == {PACKAGED_S}
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {member.uname for member in members} == {""}
