"""For which containers a hook of the OCI runtime is: oci-hooks(5)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.model.oci_hook import LONGEST_COMMAND, LONGEST_TEXT, When, key_of, literal_of

ANNOTATED = {"com.example.department": "fluid-dynamics", "a": "b"}


def patterns(*pairs: tuple[str, str]) -> tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]:
    return tuple((re.compile(key), re.compile(value)) for key, value in pairs)


def commands(*texts: str) -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, texts))


def keyed(*pairs: tuple[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((key, re.compile(value)) for key, value in pairs)


FLUID, OTHER = patterns((r"^com\.example\.dep", "dynamics$")), patterns(("^a$", "^c$"))


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        (When(), False),
        (When(always=True), True),
        (When(always=False), False),
        (When(always=False, annotations=FLUID), False),
        (When(annotations=FLUID), True),
        (When(annotations=(*FLUID, *OTHER)), False),
        (When(annotations=(*FLUID, *patterns(("a", "b")))), True),
        (When(keyed=keyed(("a", "b"))), True),
        (When(keyed=keyed(("a", "c"))), False),
        (When(keyed=keyed(("com", "dynamics"))), False),
        (When(keyed=keyed(("a", "b"), ("x", "")), annotations=FLUID), False),
        (When(keyed=keyed(("a", "b")), annotations=OTHER), False),
        (When(always=False, keyed=keyed(("a", "b"))), False),
        (When(commands=commands("/init$", "^/bin/sh$")), True),
        (When(commands=commands("/init$")), False),
        (When(always=True, commands=commands("/init$")), False),
        (When(annotations=FLUID, commands=commands("sh")), True),
        (When(has_bind_mounts=True), True),
        (When(has_bind_mounts=False), False),
        (When(commands=commands("/init$"), has_bind_mounts=True, any_of=True), True),
        (When(commands=commands("/init$"), annotations=OTHER, any_of=True), False),
        (When(commands=commands("/init$"), annotations=FLUID, any_of=True), True),
    ],
)
def test_all_conditions_must_hold_or_one_in_the_former_schema(when: When, matches: bool) -> None:
    assert when.matches("/bin/sh", ANNOTATED, {}, lambda: ["a mount"]) is matches


def test_mounts_are_a_condition_only_where_there_are_some() -> None:
    assert not When(has_bind_mounts=True).matches("/bin/sh", {}, {}, list)


def test_only_the_beginning_of_a_long_annotation_is_looked_at() -> None:
    for when in (When(annotations=patterns(("", "end$"))), When(keyed=keyed(("a", "end$")))):
        _assert_only_the_beginning_counts(when)


def _assert_only_the_beginning_counts(when: When) -> None:
    assert when.matches("", {"a": "x" * (LONGEST_TEXT - 3) + "end"}, {}, list)
    assert not when.matches("", {"a": "x" * LONGEST_TEXT + "end"}, {}, list)


@pytest.mark.parametrize("when", [When(annotations=patterns(("^a$", "b"))), When(keyed=keyed(("a", "b")))])
def test_the_pods_annotation_counts_before_the_containers(when: When) -> None:
    for pod, container, matches in (({}, "b", True), ({"a": "b"}, "c", True), ({"a": "c"}, "b", False)):
        assert when.matches("", pod, {"a": container}, list) is matches


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        (r"^com\.example\.department$", "com.example.department"),
        ("^a/b_c-d$", "a/b_c-d"),
        (r"^a\\$", "a\\"),
        ("^a.b$", ""),
        ("^ab?$", ""),
        ("^(a|b)$", ""),
        ("^a|b$", ""),
        ("^a$$", ""),
        (r"^a\$", ""),
        (r"^a\d$", ""),
        ("^a(?#c)$", ""),
        ("^a", ""),
        ("a$", ""),
        ("^$", ""),
    ],
)
def test_the_key_is_the_only_text_that_is_found(pattern: str, key: str) -> None:
    assert key_of(pattern) == key


def test_only_the_beginning_of_a_long_command_is_looked_at() -> None:
    when = When(commands=commands("end$"))
    assert when.matches("x" * (LONGEST_COMMAND - 3) + "end", {}, {}, list)
    assert not when.matches("x" * LONGEST_COMMAND + "end", {}, {}, list)


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (r"^com\.example\.department$", "com.example.department"),
        ("profile/(cpu|memory)$", "profile/"),
        ("ab*", "a"),
        ("ab{0,2}", "a"),
        (r"a\.?", "a"),
        (r"a\d", "a"),
        ("^ab|^c", ""),
        ("a(b)|(c)", ""),
        (r"a\(b|c\)", ""),
        ("a[(]b|c[)]", ""),
        ("ab(?#c)*", ""),
        ("(?i)ab", ""),
        (".*", ""),
    ],
)
def test_a_literal_is_what_everything_that_is_found_begins_with(pattern: str, literal: str) -> None:
    assert literal_of(pattern) == literal


PIECES = (
    "a",
    "b",
    "ab",
    "(a|b)",
    "|",
    "^",
    "$",
    r"\.",
    "[(|]",
    "(b)",
    "{0,1}",
    "*",
    "?",
    "+",
    ".",
    "(?#c)",
    r"\|",
    r"\(",
    "(?:",
    ")",
)


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=8), text=st.text("ab.(|", max_size=6))
def test_whatever_a_pattern_finds_has_its_literal(pieces: list[str], text: str) -> None:
    pattern = "".join(pieces)
    try:
        found = re.compile(pattern).search(text)
    except re.error:
        return
    assert found is None or literal_of(pattern) in text


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=6), text=st.text("ab.(|", max_size=6))
def test_whatever_a_pattern_of_one_key_finds_is_that_key(pieces: list[str], text: str) -> None:
    pattern = f"^{''.join(pieces)}$"
    key = key_of(pattern)
    try:
        compiled = re.compile(pattern)
    except re.error:
        return
    if key:
        assert compiled.search(key) is not None
        assert (compiled.search(text) is not None) == (text == key)
