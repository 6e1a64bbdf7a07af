"""A library that is imported without an optional one."""

import subprocess
import sys

import pytest

from koordnri.observe.without import without


def test_an_import_in_the_block_fails_and_works_again_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with without("colorsys"), pytest.raises(ModuleNotFoundError):
        import colorsys
    import colorsys

    assert colorsys.rgb_to_hsv


def test_a_module_that_was_imported_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    import colorsys

    with without("colorsys"):
        assert sys.modules["colorsys"] is colorsys
    assert sys.modules["colorsys"] is colorsys


def test_the_daemon_does_not_load_rich() -> None:
    code = "import koordnri.daemon.daemon, sys; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
