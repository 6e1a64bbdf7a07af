"""What the Node object's annotations tell."""

from __future__ import annotations

from fractions import Fraction

import pytest

from koordnri.model import CPUSet
from koordnri.model.node import Pool
from koordnri.model.node_annotations import (
    BE_POOLS_KEY,
    LS_POOLS_KEY,
    NORMALIZATION_RATIO_KEY,
    RESERVATION_KEY,
    SYSTEM_QOS_KEY,
    AnnotatedNode,
    read_node_annotations,
)

ONLINE = CPUSet(range(16))


def test_nothing_told() -> None:
    assert read_node_annotations({"other": "x"}, ONLINE) == AnnotatedNode()


def test_everything_told() -> None:
    told = read_node_annotations(
        {
            NORMALIZATION_RATIO_KEY: "1.20",
            SYSTEM_QOS_KEY: '{"cpuset":"0-1","cpusetExclusive":false}',
            RESERVATION_KEY: '{"reservedCPUs":"15","applyPolicy":"Default"}',
            LS_POOLS_KEY: '[{"socket":0,"node":0,"cpuset":"0-7"},{"socket":0,"node":1,"cpuset":"8-15"}]',
            BE_POOLS_KEY: '[{"socket":0,"node":0,"cpuset":"0-7"}]',
        },
        ONLINE,
    )
    assert told == AnnotatedNode(
        "0-1", False, CPUSet([15]), Fraction(6, 5), (Pool(0, 0, "0-7"), Pool(0, 1, "8-15")), (Pool(0, 0, "0-7"),), ()
    )


@pytest.mark.parametrize(("text", "ratio"), [("1", 1), ("0.5", Fraction(1, 2)), (".5", Fraction(1, 2)), ("1e1", 10)])
def test_ratio(text: str, ratio: Fraction) -> None:
    assert read_node_annotations({NORMALIZATION_RATIO_KEY: text}).normalization_ratio == ratio


@pytest.mark.parametrize("text", ["", "0", "0.00", "-1", "abc", "nan", "inf", "1/2", " 1", "1_0", "1e999999999", "٣"])
def test_no_ratio(text: str) -> None:
    told = read_node_annotations({NORMALIZATION_RATIO_KEY: text})
    assert told.normalization_ratio is None
    assert told.problems == (
        f'annotation {NORMALIZATION_RATIO_KEY}: expected a number above 0 such as 1.20, got "{text}"',
    )


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        (SYSTEM_QOS_KEY, '{"cpuset":"0-x"}', 'cpuset: "x" at position 0 of "0-x": expected a CPU number 0..8191'),
        (SYSTEM_QOS_KEY, '{"cpuset":"15-16"}', "cpuset: expected CPUs of 0-15, which are online, got 16"),
        (SYSTEM_QOS_KEY, '{"cpuset":3}', "Expected `str`, got `int` - at `$.cpuset`"),
        (LS_POOLS_KEY, "{}", "Expected `array`, got `object`"),
        (
            LS_POOLS_KEY,
            '[{"cpuset":"0"},{"cpuset":"99"}]',
            "[1].cpuset: expected CPUs of 0-15, which are online, got 99",
        ),
        (BE_POOLS_KEY, "[", "Input data was truncated"),
    ],
)
def test_a_mistake_costs_its_own_field_only(key: str, text: str, problem: str) -> None:
    told = read_node_annotations({NORMALIZATION_RATIO_KEY: "1.5", key: text}, ONLINE)
    assert told == AnnotatedNode(normalization_ratio=Fraction(3, 2), problems=(f"annotation {key}: {problem}",))


def test_without_a_topology_any_cpu_may_exist() -> None:
    assert read_node_annotations({SYSTEM_QOS_KEY: '{"cpuset":"100"}'}).system_cpus == "100"
