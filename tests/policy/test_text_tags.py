"""YAML's tags, on texts that fit them or not: loading ends in a document or in a PolicyError with a position, never in anything else."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from koordnri.cli import cli
from koordnri.cli.pods_file import load_pods
from koordnri.policy import PolicyError, load_data, load_policy, resolve
from koordnri.policy.errors import DocumentError

TAGS = [
    "bool",
    "int",
    "float",
    "timestamp",
    "null",
    "str",
    "binary",
    "set",
    "omap",
    "pairs",
    "seq",
    "map",
    "merge",
    "value",
    "x",
]
VALUES = [
    *("", "x", "1", "1.5", "true", "2024-13-45", "2024-02-30 25:61:61", "0x", "1:99999999999", ".inf", "9" * 5000),
    *("[a]", "{a: b}", "''", "[[a, b]]", "0b"),
]
PLACES = [
    *("%s", "a: %s", "%s : a", "koordnri-config: {hooks: {mine: {a: %s}}}", "resource-qos-config: [%s]"),
    "koordnri-config: |\n  a: %s",
]
SPELLINGS = [f"!!{tag} {value}" for tag, value in itertools.product(TAGS, VALUES)]


def outcome_of(text: str) -> str:
    """The mistakes; "" for a document that resolves."""
    try:
        resolve(load_policy(text, "test"), "node", {})
    except PolicyError as error:
        reported = str(error)
    else:
        return ""
    assert reported
    assert reported.replace("\n", "").isprintable()
    return reported


@pytest.mark.parametrize("place", PLACES)
def test_no_tag_does_more_than_be_refused(place: str) -> None:
    for spelled in SPELLINGS:
        outcome_of(place % spelled)
        load = {"koordnri-config": place % spelled, "resource-qos-config": spelled}
        with contextlib.suppress(PolicyError):
            load_data(load, "test")


@pytest.mark.parametrize(
    ("text", "where", "type_", "got"),
    [
        ("a: !!int", "broken YAML, line 1 column 4", "int", ""),
        ("koordnri-config: |\n  a: !!bool x\n", "koordnri-config: broken YAML, line 1 column 4", "bool", "x"),
        ("a: 2024-13-45", "broken YAML, line 1 column 4", "timestamp", "2024-13-45"),
        ("a:\n  - !!float ''", "broken YAML, line 2 column 5", "float", ""),
    ],
)
def test_a_value_that_does_not_fit_its_tag_is_refused_with_its_place(
    text: str, where: str, type_: str, got: str
) -> None:
    expected = f'expected a value of YAML\'s type {type_}, got "{got}" (put text in quotes)'
    assert outcome_of(text) == f"{where}: {expected}"


TEXT = st.builds(
    lambda place, tag, value: place % f"!!{tag} {value}",
    st.sampled_from(PLACES),
    st.sampled_from(TAGS) | st.text(st.characters(codec="ascii"), max_size=5),
    st.sampled_from(VALUES) | st.text(max_size=12),
)


@given(TEXT)
def test_any_text_under_any_tag(text: str) -> None:
    outcome_of(text)


@given(TEXT)
def test_any_text_under_any_tag_in_a_file_of_pods(text: str) -> None:
    with contextlib.suppress(DocumentError):
        load_pods(text)


def test_policy_check_prints_mistakes_and_no_traceback() -> None:
    for spelled in SPELLINGS:
        done = CliRunner().invoke(
            cli, ["policy", "check", "-"], input=f"koordnri-config: |\n  a: {spelled}\nb: {spelled}\n"
        )
        assert done.exit_code in (0, 2), spelled
        assert done.exception is None or isinstance(done.exception, SystemExit), spelled
