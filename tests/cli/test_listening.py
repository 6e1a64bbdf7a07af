"""HOST:PORT, as options have it."""

from __future__ import annotations

import click
import pytest

from koordnri.cli.listening import address

CONTEXT, OPTION = click.Context(click.Command("run")), click.Option(["--listen"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:9316", ("127.0.0.1", 9316)),
        ("[::1]:9316", ("::1", 9316)),
        ("localhost:0", ("localhost", 0)),
        ("off", None),
        ("", None),
    ],
)
def test_an_address_or_none(text: str, found: tuple[str, int] | None) -> None:
    assert address(CONTEXT, OPTION, text) == found


@pytest.mark.parametrize("text", ["9316", ":9316", "localhost:65536", "localhost:-1", "On"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match=f'such as 127.0.0.1:9316, or "off", got "{text}"'):
        address(CONTEXT, OPTION, text)
