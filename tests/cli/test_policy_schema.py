"""The JSON Schema of a policy: it says what the reader does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # comes with kubernetes-validate
import msgspec
import pytest
import yaml
from click.testing import CliRunner

from koordnri.cli import cli
from koordnri.model import CPUSet
from koordnri.policy import PolicyError, load_data, load_policy, resolve
from koordnri.policy.document import IGNORED, SHAPES

EXAMPLE = Path(__file__).parents[2] / "examples" / "policy.yaml"


def printed_schema() -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["policy", "schema"])
    assert (done.exit_code, done.stderr) == (0, "")
    schema: dict[str, Any] = json.loads(done.stdout)
    return schema


SCHEMA = printed_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """What it refers to, with what stands beside the reference."""
    if "$ref" not in schema:
        return schema
    target: Any = SCHEMA
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return {**resolved(target), **{word: value for word, value in schema.items() if word != "$ref"}}


def section(key: str) -> dict[str, Any]:
    """The schema of a key's value without what all keys have."""
    schema = resolved(SCHEMA["properties"][key])
    own = {n: s for n, s in schema["properties"].items() if n not in ("clusterStrategy", SHAPES[key].nodes_key)}
    return {**schema, "properties": own}


def test_the_schema_is_one_of_the_draft_that_it_names():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"].keys() == SHAPES.keys() | IGNORED.keys()
    assert "letter case" in SCHEMA["description"]


def flat_defaults(schema: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    schema = resolved(schema)
    if "properties" not in schema or path.endswith(".namespaceSelector"):  # one that is left out selects nothing
        yield path, schema.get("default")
        return
    for name, inner in schema.get("properties", {}).items():
        yield from flat_defaults(inner, f"{path}.{name}")


def flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not (isinstance(value, dict) and value):
        yield path, value
        return
    for name, inner in value.items():
        yield from flat(inner, f"{path}.{name}")


@pytest.mark.parametrize("key", SHAPES)
def test_names_and_defaults_are_those_of_the_policy(key):
    defaults = msgspec.json.decode(msgspec.json.encode(SHAPES[key].defaults))
    if key == "koordnri-config":
        del defaults["hooks"]["others"]  # where the reader collects them; they are written beside the known ones
    # A block that may be left out as a whole has no default, what is in it has.
    assert dict(flat_defaults(section(key), key)) == dict(flat(defaults, key))


SAMPLES = {"name": "x", "key": "x", "operator": "Exists", "nodeSelector": {"matchLabels": {"a": "b"}}}
"""Of what must not be missing."""


def places(schema: dict[str, Any], path: str, wrap: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every place of a document: its path, its schema, and what makes a document of a value there."""
    schema = resolved(schema)
    yield path, schema, wrap
    inner = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        inner["ls"] = schema["additionalProperties"]
    for name, value_schema in inner.items():
        around = {other: SAMPLES[other] for other in schema.get("required", ()) if other != name}
        yield from places(value_schema, f"{path}.{name}", lambda v, name=name, around=around: wrap({**around, name: v}))
    if "items" in schema:
        yield from places(schema["items"], f"{path}[0]", lambda v: wrap([v]))


NUMBERS = [
    -26, -25, -2, -1, 0, 1, 2, 3, 4, 5, 6, 12, 13, 50, 51, 60, 61, 99, 100, 101, 400, 401, 1000, 1001,
    7999, 8000, 10000, 10001, 60000, 60001, 10**15, 0.5, 0.99, 1.5, 5.01, -1.5,
]  # fmt: skip
TEXTS = ["", "x", "10M", "1Gi", "1e3", ".5", "+1k", "10Q", "1 Gi", "-5", "10%", "../x", "auto", "off", "BE", "cpuset",
         "0-1", "0-1, 8", "3-1", "8192", "kube-system", "-a", "x" * 64, "observe", "none"]  # fmt: skip
VALUES = [True, False, None, [], {}, ["x"], ["X"], [1], {"x": 1}, {"x": "y"}, *NUMBERS, *TEXTS]
RULES_BETWEEN_VALUES = (
    "expected less than cat",
    "expected less than l2Range",
    "Evict",
    "path below the base",
    "expected a class lsr",
    "got neither",
    "expected at least one value for",
    "expected no values for",
    'at most 8191, got "3-1"',
    'at most 8191, got "8192"',
)
"""In messages of rules that no schema is to know."""


def refused(document: dict[str, Any]) -> bool:
    try:
        load_data(document, "")
    except PolicyError as error:
        return any(not any(rule in m.message for rule in RULES_BETWEEN_VALUES) for m in error.mistakes)
    return False


def selector_schema(key: str) -> dict[str, Any]:
    return SCHEMA["properties"][key]["properties"][SHAPES[key].nodes_key]["items"]["properties"]["nodeSelector"]


@pytest.mark.parametrize("key", SHAPES)
def test_at_every_place_the_schema_takes_what_the_reader_takes(key):
    found = [
        *places(section(key), key, lambda v: {key: v}),
        *places(selector_schema(key), "nodeSelector", lambda v: {key: {SHAPES[key].nodes_key: [{"nodeSelector": v}]}}),
    ]
    disagreements = [
        (path, value)
        for path, schema, wrap in found
        for value in VALUES
        # A key's value may be text, which the schema does not look into; an empty selector is a rule of its own.
        if not (path == key and isinstance(value, str)) and (path, value) != ("nodeSelector", {})
        if VALIDATOR.evolve(schema=schema).is_valid(value) == refused(wrap(value))
    ]
    assert disagreements == []


@pytest.mark.parametrize("key", SHAPES)
def test_cluster_nodes_and_the_short_form_have_the_same_fields(key):
    schema = SCHEMA["properties"][key]["properties"]
    fields = {name: resolved(field) for name, field in section(key)["properties"].items()}
    node = schema[SHAPES[key].nodes_key]["items"]
    assert {n: resolved(f) for n, f in node["properties"].items() if n not in ("name", "nodeSelector")} == fields
    if SHAPES[key].has_cluster_key:
        cluster = resolved(schema["clusterStrategy"])["properties"]
        assert {n: resolved(f) for n, f in cluster.items()} == fields
    else:
        assert "clusterStrategy" not in schema


SELECTOR = {"matchLabels": {"a": "b"}}


@pytest.mark.parametrize(
    ("document", "good"),
    [
        ({}, True),
        ({"resource-qos-config": None, "unknown-config": 7, "colocation-config": 7}, True),
        ({"resource-qos-config": '{"beClass": {}}'}, True),
        ({"resource-qos-config": {"beClas": {}}}, True),
        ({"resource-qos-config": {"clusterStrategy": None, "nodeStrategies": None}}, True),
        ({"resource-qos-config": {"clusterStrategy": []}}, False),
        ({"resource-qos-config": {"nodeStrategies": {}}}, False),
        ({"resource-qos-config": {"nodeStrategies": [None]}}, False),
        ({"resource-qos-config": {"nodeStrategies": [{"beClass": {}}]}}, False),
        ({"resource-qos-config": {"nodeStrategies": [{"nodeSelector": None}]}}, False),
        ({"resource-qos-config": {"nodeStrategies": [{"nodeSelector": {}}]}}, False),
        ({"resource-qos-config": {"nodeStrategies": [{"nodeSelector": SELECTOR, "name": 1}]}}, False),
        ({"resource-qos-config": {"nodeStrategies": [{"nodeSelector": SELECTOR, "name": None, "beClass": {}}]}}, True),
        ({"cpu-normalization-config": {"enable": True, "nodeConfigs": [{"nodeSelector": SELECTOR}]}}, True),
        ({"cpu-normalization-config": {"nodeConfigs": [{"nodeSelector": SELECTOR, "defaultRatio": 0.5}]}}, True),
        ({"koordnri-config": {"hooks": {"mine": {"mode": "off", "options": {"a": [1]}}}}}, True),
        ({"koordnri-config": {"hooks": {"mine": {"option": {}}}}}, False),
        ({"koordnri-config": {"hook": {}}}, False),
        ({"koordnri-config": {"clusterStrategy": {"hook": {}}}}, False),
        ({"koordnri-config": {"nodeStrategies": [{"nodeSelector": SELECTOR, "hook": {}}]}}, False),
        ({"koordnri-config": {"nodeStrategies": [{"nodeSelector": SELECTOR, "hooks": {}}]}}, True),
    ],
)
def test_schema_and_reader_agree_on_the_frame_of_a_document(document, good):
    assert VALIDATOR.is_valid(document) == good
    try:
        load_data(document, "")
    except PolicyError:
        assert not good
    else:
        assert good


def test_the_example_is_good_by_the_schema_as_texts_and_as_mappings():
    texts = yaml.safe_load(EXAMPLE.read_text())["data"]
    VALIDATOR.validate(texts)
    VALIDATOR.validate({key: yaml.safe_load(text) for key, text in texts.items()})


def test_the_keys_that_the_example_has_in_comments_are_good_too():
    frame, own = EXAMPLE.read_text().split("koordnri-config", 1)
    uncommented = frame + "koordnri-config" + re.sub(r"^( +)# (?=\w+:)", r"\1", own, flags=re.MULTILINE)
    document = load_policy(uncommented, "")
    found = resolve(document, "", {})
    assert document.warnings == ()
    assert (found.hook_mode("rdt"), found.record_route) == ("observe", "none")
    assert (found.namespaces_left_alone, found.reserved_cpus) == ({"kube-system"}, CPUSet([0, 1]))


def test_descriptions_are_those_of_the_fields_inherited_ones_too():
    hooks = SCHEMA["$defs"]["Hooks"]["properties"]
    assert resolved(hooks["gpu"])["properties"]["mode"]["description"].startswith(
        "observe: the hook decides, and the result is"
    )
    be = SCHEMA["$defs"]["ResourceQOS"]["properties"]["beClass"]["properties"]
    minimum = be["memoryQOS"]["properties"]["minLimitPercent"]
    assert minimum["description"] == "memory.min, percent of the request: never reclaimed."
