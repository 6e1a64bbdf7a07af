"""Pages behind a token."""

from __future__ import annotations

from email.message import Message
from pathlib import Path

import pytest

from koordnri.observe.http import HTTPAnswer, HTTPRequest, text_answer
from koordnri.observe.tokens import TokenError, guarded, read_token


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("secret\n")
    return path


def asked(file: Path, authorization: str | None) -> HTTPAnswer:
    headers = Message()
    if authorization is not None:
        headers["Authorization"] = authorization
    pages = guarded({"/metrics": {"GET": lambda _: text_answer("metrics")}}, file)
    return pages["/metrics"]["GET"](HTTPRequest(headers, b""))


@pytest.mark.parametrize("authorization", ["Bearer secret", "bearer  secret "])
def test_who_knows_the_token_is_answered(file: Path, authorization: str) -> None:
    assert asked(file, authorization).body == b"metrics"


@pytest.mark.parametrize(
    "authorization",
    [None, "", "secret", "Basic secret", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer Secret", "Bearer µ"],
)  # fmt: skip
def test_others_are_asked_for_it(file: Path, authorization: str | None) -> None:
    answer = asked(file, authorization)
    assert (answer.status, answer.body) == (401, b"expected Authorization: Bearer TOKEN\n")
    assert dict(answer.headers)["WWW-Authenticate"].startswith("Bearer ")


def test_a_changed_token_holds_at_once(file: Path) -> None:
    file.write_text("other")
    assert (asked(file, "Bearer secret").status, asked(file, "Bearer other").status) == (401, 200)


@pytest.mark.parametrize("content", ["", " \n", "two words", "µ", "x" * 70_000])
def test_while_there_is_no_token_nobody_is_admitted(file: Path, content: str) -> None:
    file.write_text(content)
    assert [asked(file, sent).status for sent in (None, "Bearer ", f"Bearer {content}")] == [503] * 3
    with pytest.raises(TokenError, match=r"token: expected one word of ASCII characters"):
        read_token(file)
    file.unlink()
    assert asked(file, "Bearer ").status == 503
