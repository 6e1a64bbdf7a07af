"""Every target holds for its corpus and for inputs made of it. The search for new cases is `make fuzz`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.fuzz.mutations import mutated

HERE = Path(__file__).parent
TARGETS = sorted(file.stem for file in (HERE / "targets").glob("*.py"))
SEED = 11
FEW, MANY = 20, 300
"""inputs made of the corpus; many of them take 1 to 4 s"""


def corpus(target: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted((HERE / "corpus" / target).iterdir())]


def hold(target: str, count: int) -> None:
    check, known = import_module(f"tests.fuzz.targets.{target}").check, corpus(target)
    for data in [b"", *known, *mutated(known, count, SEED)]:
        try:
            check(data)
        except Exception as error:
            raise AssertionError(f"{target}: {data!r}") from error


@pytest.mark.parametrize("target", TARGETS)
def test_the_invariant_holds(target: str) -> None:
    hold(target, FEW)


@pytest.mark.full
@pytest.mark.parametrize("target", TARGETS)
def test_the_invariant_holds_for_many_inputs(target: str) -> None:
    hold(target, MANY)


def test_each_target_has_a_small_corpus_and_no_corpus_lacks_its_target() -> None:
    assert [directory.name for directory in sorted((HERE / "corpus").iterdir())] == TARGETS
    for target in TARGETS:
        assert 0 < sum(map(len, corpus(target))) < 32_768, target


def test_mutations_are_the_same_each_time_and_differ_from_the_corpus() -> None:
    known = [b'{"a": 1}', b"0-3,5"]
    first = list(mutated(known, 50, SEED))
    assert first == list(mutated(known, 50, SEED))
    assert len(set(first) - set(known)) > 25
