"""Whether the runtime requires koordnri."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koordnri.doctor.facts import RuntimeConfig
from tests.doctor.well import CONFIG, WELL, codes, runtime


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CONFIG, ["KN0803"]),
        (CONFIG._replace(required_plugins=("koordnri",)), ["KN0803"]),  # the validator is not on
        (CONFIG._replace(validator=True, required_plugins=("koordnri",)), ["KN0801"]),
        (CONFIG._replace(validator=True, required_plugins=("10-koordnri",), tolerated="a"), []),
        (CONFIG._replace(validator=True, required_plugins=("my-koordnri",), tolerated="a"), ["KN0802"]),
        (CONFIG._replace(validator=True, required_plugins=("other",), tolerated="a"), ["KN0803"]),
    ],
)
def test_the_validator(config: RuntimeConfig, expected: list[str]) -> None:
    assert codes(replace(WELL, runtime=runtime(config=config))) == expected
    assert codes(replace(WELL, runtime=runtime("2.1.0", config=config)), replace(WELL, runtime=runtime("2.1.0"))) == []
