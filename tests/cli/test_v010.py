"""`koordnri v010` as a command: its options, and what it serves."""

import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from koordnri.cli import cli
from koordnri.cli.v010 import _pages
from koordnri.observe.http import Server
from koordnri.v010.adapter import Adapter
from tests.session.subject import Log


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--listen", "here"], "expected HOST:PORT"), (["--listen", "192.0.2.1:1"], "--listen: ")],
)
def test_a_port_that_cannot_be_used_is_named(options: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["v010", *options])
    assert result.exit_code != 0
    assert message in result.output


def test_it_serves_its_counts(tmp_path: Path) -> None:
    adapter = Adapter(tmp_path / "conf.json", tmp_path, Log())  # type: ignore[arg-type]  # the log has what is used
    adapter.counts["konfine", "create", "failed"] += 1
    server = Server("127.0.0.1", 0, _pages(adapter))
    try:
        text = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10).read().decode()
    finally:
        server.close()
    assert 'koordnri_v010_calls_total{outcome="failed",program="konfine",state="create"} 1.0' in text
