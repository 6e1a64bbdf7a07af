"""How annotations of all kinds are read."""

from __future__ import annotations

import json

import pytest
from koordnri_hooks.injection.kind import MOST_YAML, yaml_of

READ = yaml_of(list[str])


@pytest.mark.parametrize("text", ['["a", "b"]', "[a, b]", "- a\n- b\n", '- "a"\n-   b # a comment'])
def test_json_and_yaml_are_read(text: str) -> None:
    assert READ(text) == ["a", "b"]


@pytest.mark.parametrize("text", ["", "null", " \n"])
def test_nothing_is_none(text: str) -> None:
    assert READ(text) is None


@pytest.mark.parametrize("text", ["- a\n b: c: d", "*alias", "a", "{a: b}", "[1]", "[a"])
def test_what_is_no_list_of_texts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        READ(text)


def test_yaml_has_a_limit_and_json_another_one() -> None:
    items = ["abc"] * MOST_YAML
    assert READ(json.dumps(items)) == items
    with pytest.raises(ValueError, match="expected JSON, or YAML of at most 2048 characters"):
        READ("- abc\n" * MOST_YAML)
    with pytest.raises(ValueError, match="expected JSON, or YAML of at most 2048 characters"):
        READ(f"[{'abc,' * MOST_YAML}]")
