"""Who wants exclusive CPUs, how many, and why not."""

from __future__ import annotations

import pytest

from koordnri.cpus.choice import Wish
from koordnri.cpus.wish import wanted_by
from koordnri.model import Resources
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.resource_spec import RESOURCE_SPEC
from tests.cpus.one_allocator import spec, whole
from tests.support.pods import pod


@pytest.mark.parametrize(
    ("qos", "asked", "wants"),
    [
        ("LSR", whole(2), 2),
        ("LSE", whole(1), 1),
        ("LS", whole(2), 0),
        ("BE", whole(2), 0),
        ("", whole(2), 0),
        ("LSR", Resources(cpu_shares=2048, cpu_quota=250_000), 0),  # not a whole number
        ("LSR", Resources(cpu_shares=1024, cpu_quota=200_000), 0),  # requests less than the limit
        ("LSR", Resources(cpu_shares=2048, cpu_quota=100_000, cpu_period=50_000), 2),
        ("LSR", Resources(cpu_shares=2048), 0),
        ("LSR", Resources(cpu_shares=2048, cpu_quota=-1), 0),
    ],
)
def test_who_has_a_whole_number_of_cpus_and_asks_for_as_many_wants_them_alone(qos, asked, wants):
    wanted = wanted_by(pod(qos, name="p"), "main", asked)
    assert wanted.cpus == wants
    assert bool(wanted.why_not) == (not wants and qos in ("LSR", "LSE"))


def test_whom_the_scheduler_has_assigned_cpus_wants_none_of_ours():
    one = pod("LSR", annotations={RESOURCE_STATUS.key: '{"cpuset": "1"}'}, name="p")
    assert wanted_by(one, "main", whole(1)).wishes == ()


@pytest.mark.parametrize(
    ("policies", "wishes"),
    [
        ({}, [("", "")]),
        ({"preferredCPUBindPolicy": "Default", "preferredCPUExclusivePolicy": "None"}, [("", "")]),
        ({"preferredCPUBindPolicy": "FullPCPUs"}, [("FullPCPUs", ""), ("", "")]),
        ({"requiredCPUBindPolicy": "FullPCPUs"}, [("FullPCPUs", "")]),
        (
            {"preferredCPUBindPolicy": "SpreadByPCPUs", "preferredCPUExclusivePolicy": "PCPULevel"},
            [("SpreadByPCPUs", "PCPULevel"), ("SpreadByPCPUs", ""), ("", "PCPULevel"), ("", "")],
        ),
    ],
)
def test_what_is_preferred_is_given_up_before_what_is_required(policies, wishes):
    found = wanted_by(pod("LSR", annotations=spec(**policies), name="p"), "main", whole(2)).wishes
    assert [(w.bind, w.exclusive) for w in found] == wishes


@pytest.mark.parametrize("text", ['{"preferredCPUBindPolicy": "Both"}', "{", "[]", '{"preferredCPUBindPolicy": 5}'])
def test_a_wish_that_cannot_be_read_counts_as_none(text):
    assert wanted_by(pod("LSR", annotations={RESOURCE_SPEC.key: text}, name="p"), "main", whole(2)).wishes == (Wish(2),)
