"""The wait that other tests rely on: it must end, and say what did not happen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.waiting import eventually


def test_it_returns_the_first_true_answer():
    answers = iter([0, "", "here"])
    assert eventually(lambda: next(answers), "an answer") == "here"


def test_a_check_that_fails_is_asked_again(tmp_path: Path):
    answers = iter([tmp_path / "absent", tmp_path])
    assert eventually(lambda: next(answers).stat(), "a directory")


@pytest.mark.parametrize(
    ("check", "last"),
    [(lambda: None, "None"), (lambda: Path("/absent").stat(), "FileNotFoundError.*")],
)
def test_what_never_happens_is_an_error_that_names_it(check, last):
    with pytest.raises(AssertionError, match=f"^the sun at night: not so within 0 s; last: {last}"):
        eventually(check, "the sun at night", 0)


def test_a_bug_of_the_check_is_not_waited_for():
    with pytest.raises(KeyError):
        eventually(lambda: {}["absent"], "a key")
