"""The hooks that are installed: ours, a third party's, and one that is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from koordnri.chain import Chain, ChainError, load_hooks


def test_our_hooks_are_found_and_ordered():
    chain = Chain(load_hooks())
    assert chain.order == ("cpuset", "cfs_quota", "memory", "rdt", "blkio", "network", "gpu", "injection")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a distribution of one module with one hook, as pip would leave it on the path."""

    def install(name: str, source: str, entry: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[koordnri.hooks]\n{entry}\n")
        (tmp_path / f"{name}_hooks.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_a_third_partys_hook_is_found_beside_ours(install):
    install(
        "acme_ok",
        "from koordnri.hook import Hook, fields\n"
        "class Acme(Hook):\n"
        "    name, order, owns = 'acme', 45, (fields.PIDS_LIMIT,)\n"
        "    def decide(self, ctx):\n"
        "        ctx.set(fields.PIDS_LIMIT, 5, 'acme')\n",
        "acme = acme_ok_hooks:Acme",
    )
    assert Chain(load_hooks()).order == (
        "cpuset",
        "cfs_quota",
        "memory",
        "rdt",
        "acme",
        "blkio",
        "network",
        "gpu",
        "injection",
    )


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("acme_gone", "raise ImportError('no libacme.so')", "ImportError: no libacme.so"),
        ("acme_typo", "class Other: pass", "AttributeError"),
        ("acme_arg", "class Acme:\n    def __init__(self, needed): pass", "TypeError"),
        ("acme_alien", "class Acme: pass", "koordnri.hook.Hook"),
        ("acme_bare", "from koordnri.hook import Hook\nclass Acme(Hook): name = 'acme'", "name, order and owns"),
    ],
)
def test_a_broken_entry_point_is_named_with_what_to_do(install, name, source, words):
    install(name, source, f"acme = {name}_hooks:Acme")
    with pytest.raises(ChainError) as refusal:
        load_hooks()
    message = str(refusal.value)
    assert f"hook acme ({name}_hooks:Acme)" in message
    assert words in message
    assert "uninstall" in message
