"""Errors between us and the API server."""

from __future__ import annotations

import pytest

from koordnri.kube.errors import ApiRefused, excerpt


def test_a_refusal_names_what_was_asked_and_the_servers_words() -> None:
    error = ApiRefused("list pods", 403, "forbidden", 5.0)
    assert str(error) == "list pods: the API server answered 403: forbidden"
    assert (error.status, error.retry_after_s) == (403, 5.0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("a\n  b", "a b"),
        (b"d\xc3\xa9j\xc3\xa0 \xff", "déjà \ufffd"),
        (bytearray(b"x"), "x"),
        ("x" * 200, "x" * 77 + "..."),
        (b"x" * 100_000, "x" * 77 + "..."),
    ],
)
def test_an_unexpected_answer_is_quoted_in_part_on_one_line(answer: str | bytes | bytearray, expected: str) -> None:
    assert excerpt(answer) == expected
