"""Invariant: whatever is given, loading ends in a document that resolves, or in a PolicyError, and says so in short printable lines."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from koordnri.policy import PolicyError, load_policy, resolve
from koordnri.policy.document import SHAPES
from koordnri.policy.reader import Document


def names_in(type_, found):
    for info in msgspec.structs.fields(type_):
        found.add(info.encode_name)
        default = getattr(type_(), info.name) if not any(i.required for i in msgspec.structs.fields(type_)) else None
        if isinstance(default, Document):
            names_in(type(default), found)
    return found


NAMES = sorted(
    {
        "clusterStrategy",
        "nodeStrategies",
        "nodeConfigs",
        "nodeSelector",
        "matchLabels",
        "matchExpressions",
        "name",
    }.union(*(names_in(type(shape.defaults), set()) for shape in SHAPES.values()))
)
TEXT = st.text(st.characters(), max_size=8)  # with lone surrogates, which JSON can carry
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(["auto", "off", "1Gi"]),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | TEXT, children, max_size=5)
    ),
    max_leaves=25,
)


def load(text):
    try:
        return load_policy(text, "fuzz")
    except PolicyError as error:
        return error


def check(text):
    outcome = load(text)
    if isinstance(outcome, PolicyError):
        assert outcome.mistakes
        lines = str(outcome).split("\n")
    else:
        policy = resolve(outcome, "node", {"a": "b"})
        assert policy.revision == outcome.revision
        lines = [*map(str, outcome.warnings), *policy.notes]
    assert len(lines) <= 101 + len(SHAPES)
    assert all(line.isprintable() for line in lines), lines
    assert all(len(line) < 1000 for line in lines)


@given(st.dictionaries(st.sampled_from(sorted(SHAPES)) | TEXT, VALUES))
def test_any_values_under_the_known_keys(data):
    check(json.dumps(data))


@given(st.dictionaries(st.sampled_from(sorted(SHAPES)), st.text() | VALUES.map(json.dumps)))
def test_any_texts_under_the_known_keys(data):
    check(json.dumps(data))


@given(st.text() | st.binary())
def test_any_file(content):
    check(content)
