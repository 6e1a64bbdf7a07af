"""Ports that are listened on: options that name one, and the pages of the daemon's (`--listen` of `koordnri run`)."""

from __future__ import annotations

import http.client
from typing import TypeVar

import click

T = TypeVar("T")

TIMEOUT_S = 5.0
MOST_BYTES = 8 << 20
"""A page of metrics has some 100 KiB."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # the other way round: whoever listens everywhere is asked at home


def listen_option(command: T) -> T:
    """--listen."""
    return click.option(
        "--listen",
        default="127.0.0.1:9316",
        show_default=True,
        envvar="KOORDNRI_LISTEN",
        metavar="HOST:PORT",
        help="where the running daemon serves metrics and health",
    )(command)  # type: ignore[type-var]  # click types its decorators by what they decorate


def address(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, int] | None:
    """HOST:PORT as host and port; None for "off". A callback of options."""
    if value in ("", "off"):
        return None
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f'expected HOST:PORT such as 127.0.0.1:9316, or "off", got "{value}"')
    return host, int(port)


def page(listen: str, path: str) -> str | None:
    """The page's text, whatever its status; None when nobody serves it there, or only with TLS or a token."""
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isdecimal():
        return None  # "off"
    connection = http.client.HTTPConnection(_ANY.get(host, host), int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read(MOST_BYTES).decode(errors="replace")
        return None if answer.status in (http.client.NOT_FOUND, http.client.UNAUTHORIZED) else text
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
