"""A list that is printed piece by piece is the text of the whole list."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from koordnri.cli.shapes import print_shape, print_shapes

SHAPES: list[dict[str, Any]] = [{"a": [1, {"b": "x\ny"}], "é": None}, {}, {"c": {"d": []}}]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_shapes(iter(SHAPES[:count]), "json")
    assert capsys.readouterr().out == json.dumps(SHAPES[:count], indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_yaml(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_shapes(iter(SHAPES[:count]), "yaml")
    expected = yaml.safe_dump(SHAPES[:count], sort_keys=False, allow_unicode=True, width=120)
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_one_shape_is_no_list(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_shape(SHAPES[0], output)
    assert yaml.safe_load(capsys.readouterr().out) == SHAPES[0]


def test_a_shape_is_printed_before_the_next_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    def made() -> Any:
        for number in range(3):
            yield {"number": number}
            assert f'"number": {number}' in capsys.readouterr().out

    print_shapes(made(), "json")
