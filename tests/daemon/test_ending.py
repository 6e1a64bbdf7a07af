"""How the daemon comes to its end."""

from __future__ import annotations

import pytest

from koordnri.daemon.ending import Ending


def raises() -> None:
    raise KeyboardInterrupt


def test_who_asks_for_the_end_wakes_main():
    ending = Ending()
    ending.ask()
    assert (ending.asked, ending.wake.is_set(), ending.failure) == (True, True, None)


@pytest.mark.parametrize(("run", "failure"), [(raises, KeyboardInterrupt), (lambda: None, type(None))])
def test_a_thread_that_ends_wakes_main_and_its_error_is_kept(run, failure):
    ending = Ending()
    ending.guarded(run)()
    assert ending.wake.is_set()
    assert type(ending.failure) is failure
    assert not ending.asked


def test_the_error_of_another_ones_thread_is_kept_too():
    ending, error = Ending(), RuntimeError("a watch")
    ending.die(error)
    assert (ending.failure, ending.wake.is_set()) == (error, True)
