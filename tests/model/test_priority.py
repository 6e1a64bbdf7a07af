from __future__ import annotations

import pytest

from koordnri.model.priority import PriorityClass, priority_class, priority_value, sub_priority
from tests.support.pods import BESTEFFORT, pod


@pytest.mark.parametrize(
    ("one", "priority", "expected", "value"),
    [
        (pod("LS"), 9000, PriorityClass.PROD, 9000),
        (pod("LS"), 7999, PriorityClass.MID, 7999),
        (pod("LS"), 5000, PriorityClass.BATCH, 5000),
        (pod("LS"), 3000, PriorityClass.FREE, 3000),
        (pod("LS"), 100, PriorityClass.PROD, 100),
        (pod("LS"), 0, PriorityClass.PROD, 9500),
        (pod("LS"), None, PriorityClass.PROD, 9500),
        (pod("BE"), 0, PriorityClass.BATCH, 5500),
        (pod(parent=BESTEFFORT), 0, PriorityClass.BATCH, 5500),
        (pod("LS", labels={"koordinator.sh/priority-class": "koord-free"}), 9000, PriorityClass.FREE, 9000),
        (pod("LS", labels={"koordinator.sh/priority-class": "koord-mid"}), 0, PriorityClass.MID, 7500),
        (pod("BE", labels={"koordinator.sh/priority-class": "Koord-Prod"}), 0, PriorityClass.BATCH, 5500),
    ],
)
def test_the_label_comes_first_then_the_number_then_the_qos_class(
    one, priority: int | None, expected: PriorityClass, value: int
) -> None:
    assert priority_class(one, priority) is expected
    assert priority_value(one, priority) == value


@pytest.mark.parametrize(("text", "expected"), [("7", 7), ("-7", -7), ("x", 5), ("", 5), ("9" * 40, 5), ("٣", 5)])
def test_a_sub_priority_that_is_no_number_counts_as_none(text: str, expected: int) -> None:
    assert sub_priority(pod(labels={"koordinator.sh/priority": text}), 5) == expected
    assert sub_priority(pod(), 5) == 5
