"""Pages that only who knows the token may read."""

from __future__ import annotations

import hmac
from pathlib import Path

from koordnri.observe.http import HTTPAnswer, HTTPRequest, Page, Pages, text_answer

MOST_BYTES = 64 << 10
_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="koordnri"'),)


class TokenError(ValueError):
    """The file holds no token; the message names it and says what was expected."""


def read_token(path: Path) -> bytes:
    """The token in a file, without white space around it. Raises OSError, TokenError."""
    with path.open("rb") as file:
        token = file.read(MOST_BYTES + 1).strip()
    if not token or len(token) > MOST_BYTES or not token.isascii() or len(token.split()) > 1:
        raise TokenError(f"{path}: expected one word of ASCII characters, at most {MOST_BYTES} bytes")
    return token


def guarded(pages: Pages, token_file: Path) -> Pages:
    """The same pages for requests with `Authorization: Bearer TOKEN`; others get 401.

    The file is read at each request, so a changed token holds at once. While it cannot be read, nobody is admitted.
    """
    return {
        path: {method: _guarded(page, token_file) for method, page in methods.items()}
        for path, methods in pages.items()
    }


def _guarded(page: Page, token_file: Path) -> Page:
    def answer(request: HTTPRequest) -> HTTPAnswer:
        try:
            token = read_token(token_file)
        except (OSError, TokenError):
            return text_answer("the token file of --listen-token-file cannot be read, or is empty\n", 503)
        scheme, _, sent = request.headers.get("Authorization", "").strip().partition(" ")
        # Constant in time, so that nobody finds a token letter by letter.
        if scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode("utf-8", "replace"), token):
            return page(request)
        return text_answer("expected Authorization: Bearer TOKEN\n", 401)._replace(headers=_CHALLENGE)

    return answer
