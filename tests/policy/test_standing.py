"""The policy in force: a document that brings about an exception, in reading it or in following it, never replaces the one before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from koordnri.policy import PolicyDocument, load_policy
from koordnri.policy.standing import StandingPolicy

GOOD = load_policy("cpu-burst-config: {clusterStrategy: {policy: auto}}", "good")
OTHER = load_policy("cpu-burst-config: {clusterStrategy: {policy: none}}", "other")


class Standing:
    """A standing policy; `follow` is what its change brings about."""

    def __init__(self) -> None:
        self.log = CapturingLogger()
        self.error: Exception | None = None
        self.policy = StandingPolicy(self.log)

    def take(self, read: Callable[[], PolicyDocument], source: str) -> bool:
        return self.policy.take(read, source, self._follow)

    def _follow(self) -> None:
        if self.error is not None:
            raise self.error


def raises(error: Exception) -> Any:
    def read() -> PolicyDocument:
        raise error

    return read


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError("deep"), MemoryError(), UnicodeError("?"), OverflowError()]
)
def test_a_bug_in_reading_a_document_refuses_it_and_says_so(error: Exception) -> None:
    standing = Standing()
    assert standing.take(lambda: GOOD, "good")
    assert not standing.take(raises(error), "bad")
    assert standing.policy.document is GOOD
    refused = standing.policy.refused
    assert refused is not None
    assert refused.source == "bad"
    assert f"bug in koordnri, {type(error).__name__}: " in str(refused)
    assert standing.log.calls[-1].args == ("policy_refused",)
    assert standing.log.calls[-1].kwargs["exc_info"]


def test_a_document_that_cannot_be_followed_does_not_stay() -> None:
    standing = Standing()
    standing.take(lambda: GOOD, "good")
    standing.error = TypeError("made up")
    assert not standing.take(lambda: OTHER, "other")
    assert standing.policy.document is GOOD
    assert not standing.policy.take_defaults("there is none", standing._follow)
    assert standing.policy.document is GOOD
    assert (standing.policy.acceptances, standing.policy.refusals) == (1, 2)
    standing.error = None
    assert standing.take(lambda: OTHER, "other")
    assert (standing.policy.document, standing.policy.refused) == (OTHER, None)


def test_the_policy_before_the_present_one_is_kept() -> None:
    standing = Standing()
    standing.take(lambda: GOOD, "good")
    assert standing.policy.former is None, "none was in force that somebody wrote"
    standing.take(lambda: GOOD, "good")
    assert standing.policy.former is None, "it is the same"
    standing.take(lambda: OTHER, "other")
    standing.take(raises(ValueError("bad")), "bad")
    former = standing.policy.former
    assert former is not None
    assert (former.document, former.revision) == (GOOD, GOOD.revision)


def test_defaults_can_be_the_policy_before() -> None:
    standing = Standing()
    standing.policy.take_defaults("nothing there", standing._follow)
    standing.take(lambda: GOOD, "good")
    former = standing.policy.former
    assert former is not None
    assert (former.document, former.revision) == (None, "default")
    standing.policy.take_defaults("gone", standing._follow)
    former = standing.policy.former
    assert former is not None
    assert former.document is GOOD
