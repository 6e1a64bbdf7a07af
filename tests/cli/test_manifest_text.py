"""Documents read piece by piece are those that a YAML or JSON reader makes at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from koordnri.cli.manifest_text import documents
from koordnri.policy import DocumentError

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
LISTS = st.fixed_dictionaries({"kind": st.just("List"), "items": st.lists(VALUES, max_size=5)}, optional={"zz": VALUES})


def read_whole(text: str) -> list[Any]:
    """Every document of the text, with its items in their place."""
    found = []
    for document in documents(text):
        value, items = document.value(), document.items()
        if items is not None:
            assert value["items"] == []
            value["items"] = list(items)
        found.append(value)
    return found


@given(st.lists(LISTS | VALUES, min_size=1, max_size=3), st.sampled_from([None, False, True]), st.booleans())
def test_yaml_documents_are_the_same_piece_by_piece(values: list[Any], flow: bool | None, sort: bool) -> None:
    text = yaml.safe_dump_all(values, default_flow_style=flow, sort_keys=sort, allow_unicode=True)
    assert read_whole(text) == [value for value in yaml.safe_load_all(text) if value is not None]


@given(LISTS | st.dictionaries(TEXTS, VALUES, max_size=3), st.sampled_from([None, 4]))
def test_a_json_document_is_the_same_piece_by_piece(value: Any, indent: int | None) -> None:
    assert read_whole(json.dumps(value, indent=indent, ensure_ascii=False)) == [value]


def test_a_list_as_kubectl_prints_it_is_read_one_element_at_a_time() -> None:
    (document,) = documents("apiVersion: v1\nitems:\n- kind: Pod\n  x: [1]\n# between\n- kind: Pod\nkind: List\n")
    assert document.value() == {"apiVersion": "v1", "items": [], "kind": "List"}
    assert list(document.items() or ()) == [{"kind": "Pod", "x": [1]}, {"kind": "Pod"}]


@pytest.mark.parametrize(
    "text",
    [
        "x: &a {k: 1}\nitems: [*a, *a]\n",
        "%TAG ! tag:yaml.org,2002:\n---\nitems: [!str 1]\n",
        "items: [1]\nitems: [2]\n",
        '{"items": [1], "items": [2]}',
    ],
    ids=["aliases", "directive", "twice", "twice in JSON"],
)
def test_parts_that_depend_on_others_are_read_together(text: str) -> None:
    (document,) = documents(text)
    assert document.items() is None
    assert document.value() == yaml.safe_load(text)


def test_empty_documents_are_left_out_and_the_others_keep_their_number() -> None:
    assert [
        document.outline.number for document in documents("---\n---\na: 1\n---\n~\n--- null\n---\nb: 2\n...\n")
    ] == [2, 5]


def test_a_mistake_in_an_element_is_at_its_place_in_the_file() -> None:
    (document,) = documents("kind: List\nitems:\n- a: 1\n-  a: 2\n   3: b\n")
    elements = document.items()
    assert elements is not None
    assert next(elements) == {"a": 1}
    with pytest.raises(DocumentError, match="line 5 column 4: expected a key that is text, got 3"):
        next(elements)


@pytest.mark.parametrize("text", ['{"a": 1} {"b": 2}', '{"a": 1,}', '{"items": [1, 2', '{"a" 1}', '{"a": NaN}', "{"])
def test_what_is_not_json_is_taken_as_yaml(text: str) -> None:
    try:
        expected = [*yaml.safe_load_all(text)]
    except yaml.YAMLError:
        with pytest.raises(DocumentError, match="broken YAML"):
            documents(text)
    else:
        assert read_whole(text) == expected
