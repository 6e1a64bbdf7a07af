"""`koordnri demo isolation` where it cannot run."""

from click.testing import CliRunner

from koordnri.cli.demo.command import demo


def test_without_a_terminal_it_says_what_else_there_is() -> None:
    result = CliRunner().invoke(demo, ["isolation"])
    assert result.exit_code == 2
    assert "bench --part isolation" in result.output
