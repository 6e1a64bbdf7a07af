"""Errors whose type says whose fault it is."""

from __future__ import annotations

import pytest

from koordnri.model.errors import AnnotationError, NodeError, PodError, Problem


@pytest.mark.parametrize(
    "error", [PodError("memory: too large"), AnnotationError("example.com/x", "expected a number")]
)
def test_a_kept_mistake_is_raised_as_what_it_was(error: PodError) -> None:
    problem = Problem.of(error)
    again = problem.error()
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again is not problem.error(), "a kept exception would keep the frames of every raise"


def test_the_text_names_the_place() -> None:
    assert str(AnnotationError("example.com/x", "no good")) == "annotation example.com/x: no good"
    assert str(NodeError("topology.sockets", "no good")) == "topology.sockets: no good"
