"""The ceiling for best-effort work while it makes services wait."""

from __future__ import annotations

import pytest

from koordnri.control.be_ceiling import LEAST_MILLI, BECeiling
from tests.control.neighbour_pods import MI, one_pod, window

WEB = one_pod("web", used_cores=0.5, waited_cores=0.5)
QUIET = one_pod("web", used_cores=0.5, waited_cores=0.0)


def after(ceiling, *pods):
    ceiling.window(window(pods), 8)
    return ceiling.milli


def test_it_is_lowered_while_best_effort_work_makes_services_wait_and_raised_until_it_is_none():
    ceiling, job = BECeiling(), one_pod("job", "BE", used_cores=4.0)
    assert after(ceiling, QUIET, job) is None
    assert after(ceiling, WEB, job) == 3000
    assert after(ceiling, WEB, one_pod("job", "BE", used_cores=3.0)) == 2250
    raised = [after(ceiling, QUIET, job) for _ in range(6)]
    assert raised == [3000, 4000, 5333, 7111, None, None]


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param([WEB, one_pod("hog", used_cores=4.0)], id="a-service-is-the-neighbour"),
        pytest.param([WEB], id="its-own-fault"),
        pytest.param(
            [one_pod("web", io_pressure=50.0), one_pod("job", "BE", written_bytes_s=9.0 * MI)], id="a-stall-on-io"
        ),
    ],
)
def test_other_waits_do_not_hold_best_effort_work_down(pods):
    assert after(BECeiling(), *pods) is None


def test_it_never_goes_to_nothing():
    ceiling = BECeiling()
    for _ in range(50):
        after(ceiling, WEB, one_pod("job", "BE", used_cores=4.0))
    assert ceiling.milli == LEAST_MILLI
