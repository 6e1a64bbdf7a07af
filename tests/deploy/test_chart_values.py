"""Every value of the chart is in its schema, with a description, and the other way round; only what Kubernetes defines is open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

Schema = dict[str, Any]

HELMS_OWN = {"global"}
OPEN = {"global", "policy", "metrics.labels", "metrics.service.annotations", "nodeSelector", "podAnnotations"}
"""mappings with keys of the user's"""
KUBERNETES = ("affinity.", "resources.", "tolerations", "imagePullSecrets")
"""what is below is described by Kubernetes"""


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """(path of keys, schema) of each value and each mapping."""
    for key, below in schema.get("properties", {}).items():
        here = f"{path}.{key}".removeprefix(".")
        yield here, below
        yield from nodes(below, here)


def paths(values: Any, path: str = "") -> Iterator[str]:
    for key, below in values.items() if isinstance(values, dict) else ():
        here = f"{path}.{key}".removeprefix(".")
        yield here
        yield from paths(below, here)


@pytest.fixture(scope="module")
def schema(root: Path) -> Schema:
    found: Schema = json.loads((root / "helm/koordnri/values.schema.json").read_text())
    return found


@pytest.fixture(scope="module")
def values(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "helm/koordnri/values.yaml").read_text())
    return found


def test_values_and_schema_have_the_same_keys(schema: Schema, values: dict[str, Any]) -> None:
    ours = {path for path, _ in nodes(schema) if not path.startswith(KUBERNETES)} - HELMS_OWN
    in_file = {path for path in paths(values) if not path.startswith((*KUBERNETES, "nodeSelector."))}
    assert ours - {"affinity", "resources"} == in_file - {"affinity", "resources", "tolerations", "imagePullSecrets"}


def test_every_value_has_a_type_and_a_description(schema: Schema) -> None:
    kinds = {"type", "enum", "oneOf"}
    leaves = [(path, found) for path, found in nodes(schema) if "properties" not in found]
    ours = [(path, found) for path, found in leaves if not path.startswith(KUBERNETES[:2])]
    assert len(ours) > 20
    assert [path for path, found in ours if "description" not in found or not found.keys() & kinds] == []


def test_no_unknown_key_passes(schema: Schema) -> None:
    mappings = [(path, found) for path, found in nodes(schema) if found.get("type") == "object"]
    loose = {path for path, found in mappings if found.get("additionalProperties") is not False}
    assert schema["additionalProperties"] is False
    assert {path for path in loose if not path.startswith(KUBERNETES)} == OPEN
