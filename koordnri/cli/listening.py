"""Options that name a port to listen on."""

from __future__ import annotations

import click


def address(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, int] | None:
    """HOST:PORT as host and port; None for "off". A callback of options."""
    if value in ("", "off"):
        return None
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f'expected HOST:PORT such as 127.0.0.1:9316, or "off", got "{value}"')
    return host, int(port)
