"""Prints answers for programs: as JSON or YAML."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml


def print_shape(shape: Any, output: str) -> None:
    """One answer. `output`: `json` or `yaml`."""
    print(_text(shape, output), end="\n" if output == "json" else "")


def print_shapes(shapes: Iterable[Any], output: str) -> None:
    """A list of answers, each printed when it is made, so that only one is in memory. The same text as that of the whole list."""
    if output == "yaml":
        empty = True
        for shape in shapes:
            empty = False
            print(_text([shape], output), end="")
        if empty:
            print("[]")
        return
    before, after = "[\n  ", "[]"
    for shape in shapes:
        print(before, _text(shape, output).replace("\n", "\n  "), sep="", end="")
        before, after = ",\n  ", "\n]"
    print(after)


def _text(shape: Any, output: str) -> str:
    if output == "yaml":
        text: str = yaml.safe_dump(shape, sort_keys=False, allow_unicode=True, width=120)
        return text
    return json.dumps(shape, indent=2, ensure_ascii=False)
