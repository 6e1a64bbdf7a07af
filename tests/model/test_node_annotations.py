"""What the Node object's annotations set."""

from __future__ import annotations

from fractions import Fraction

import pytest

from koordnri.model import CPUSet, NodeState
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
from koordnri.model.topology import Topology

NODE = Topology.regular(1, 2, 4, 2)
"""CPUs 0-15, of which n and n + 8 are a core."""


def test_nothing_set() -> None:
    assert read_node_annotations({"other": "x"}, NODE) == AnnotatedNode()


def test_everything_set() -> None:
    reported = read_node_annotations(
        {
            NORMALIZATION_RATIO_KEY: "1.20",
            SYSTEM_QOS_KEY: '{"cpuset":"0-1","cpusetExclusive":false}',
            RESERVATION_KEY: '{"reservedCPUs":"15","applyPolicy":"Default"}',
            LS_POOLS_KEY: '[{"socket":0,"node":0,"cpuset":"0-7"},{"socket":0,"node":1,"cpuset":"8-15"}]',
            BE_POOLS_KEY: '[{"socket":0,"node":0,"cpuset":"0-7"}]',
        },
        NODE,
    )
    assert reported == AnnotatedNode(
        "0-1", False, CPUSet([15]), Fraction(6, 5), (Pool(0, 0, "0-7"), Pool(0, 1, "8-15")), (Pool(0, 0, "0-7"),), ()
    )


@pytest.mark.parametrize(("text", "ratio"), [("1", 1), ("0.5", Fraction(1, 2)), (".5", Fraction(1, 2)), ("1e1", 10)])
def test_ratio(text: str, ratio: Fraction) -> None:
    assert read_node_annotations({NORMALIZATION_RATIO_KEY: text}).normalization_ratio == ratio


@pytest.mark.parametrize("text", ["", "0", "0.00", "-1", "abc", "nan", "inf", "1/2", " 1", "1_0", "1e999999999", "٣"])
def test_no_ratio(text: str) -> None:
    reported = read_node_annotations({NORMALIZATION_RATIO_KEY: text})
    assert reported.normalization_ratio is None
    assert reported.problems == (
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
        (BE_POOLS_KEY, "[" + " " * 16_383 + "]", "expected at most 16384 characters, got 16385"),
        (RESERVATION_KEY, "{" + " " * 16_383 + "}", "expected at most 16384 characters, got 16385"),
        (SYSTEM_QOS_KEY, "{" + " " * 16_383 + "}", "expected at most 16384 characters, got 16385"),
    ],
)
def test_a_mistake_costs_its_own_field_only(key: str, text: str, problem: str) -> None:
    reported = read_node_annotations({NORMALIZATION_RATIO_KEY: "1.5", key: text}, NODE)
    assert reported == AnnotatedNode(normalization_ratio=Fraction(3, 2), problems=(f"annotation {key}: {problem}",))


def test_without_a_topology_any_cpu_may_exist() -> None:
    assert read_node_annotations({SYSTEM_QOS_KEY: '{"cpuset":"100"}'}).system_cpus == "100"


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ('{"resources":{"cpu":"2"}}', "0,8"),
        ('{"resources":{"cpu":"1500m"}}', "0,8"),
        ('{"resources":{"cpu":2,"memory":"1Gi"}}', "0,8"),
        ('{"resources":{"cpu":"3"}}', "0-1,8"),
        ('{"resources":{"cpu":"8"}}', "0-3,8-11"),
        ('{"resources":{"cpu":"10"}}', "0-4,8-12"),
        ('{"resources":{"cpu":"2"},"applyPolicy":"ReservedCPUsOnly"}', "0,8"),
        ('{"resources":{"cpu":"2"},"reservedCPUs":"15"}', "15"),
        ('{"resources":{"cpu":"2"},"reservedCPUs":null}', "0,8"),
        ('{"resources":{"cpu":"0"}}', ""),
        ('{"resources":{"cpu":"-1"}}', ""),
        ('{"resources":{"memory":"1Gi"}}', ""),
        ('{"resources":null}', ""),
        ("{}", ""),
        ("null", ""),
        ("", ""),
    ],
)
def test_a_reservation_by_quantity_takes_whole_cores_first_as_koordlet_does(text: str, cpus: str) -> None:
    reported = read_node_annotations({RESERVATION_KEY: text}, NODE)
    assert reported == AnnotatedNode(reserved_cpus=CPUSet.parse(cpus))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"resources":{"cpu":"two"}}', 'resources.cpu: expected a quantity such as 500m, 2 or 1Gi, got "two"'),
        ('{"resources":{"cpu":["2"]}}', "resources.cpu: expected a quantity such as 500m, 2 or 1Gi, got \"['2']\""),
        (
            '{"resources":{"cpu":"17"}}',
            "resources.cpu: no CPUs are reserved; expected at most 16, which are online, got 17",
        ),
    ],
)
def test_a_reservation_that_cannot_be_made_takes_no_cpu_and_is_reported(text: str, problem: str) -> None:
    reported = read_node_annotations({RESERVATION_KEY: text}, NODE)
    assert reported == AnnotatedNode(problems=(f"annotation {RESERVATION_KEY}: {problem}",))


def test_a_quantity_cannot_be_reserved_where_no_cpus_are_known() -> None:
    reported = read_node_annotations({RESERVATION_KEY: '{"resources":{"cpu":"2"}}'})
    assert reported.reserved_cpus == CPUSet()
    assert reported.problems == (
        f"annotation {RESERVATION_KEY}: resources.cpu: no CPUs are reserved, for the node's CPUs are not known; expected 2",
    )


@pytest.mark.parametrize("key", [SYSTEM_QOS_KEY, RESERVATION_KEY, LS_POOLS_KEY, BE_POOLS_KEY])
def test_brackets_in_brackets_without_end_cost_their_annotation_only(key: str) -> None:
    deep = '{"x":' * 20_000 + "1" + "}" * 20_000
    reported = read_node_annotations(
        {NORMALIZATION_RATIO_KEY: "1.5", key: f"[{deep}]" if "pools" in key else deep}, NODE
    )
    assert reported.normalization_ratio == Fraction(3, 2)
    assert len(reported.problems) == 1
    assert reported.problems[0].startswith(f"annotation {key}: ")


def test_what_is_annotated_is_put_over_the_node() -> None:
    node = NodeState(topology=NODE, system_cpus="7", ls_pools=(Pool(0, 0, "1"),), problems=("before",))
    reported = read_node_annotations({RESERVATION_KEY: '{"resources":{"cpu":"2"}}', NORMALIZATION_RATIO_KEY: "?"}, NODE)
    found = reported.applied(node)
    assert (found.reserved_cpus, found.system_cpus, found.ls_pools) == (CPUSet([0, 8]), "", ())
    assert found.problems == ("before", *reported.problems)


@pytest.mark.parametrize("key", [SYSTEM_QOS_KEY, RESERVATION_KEY, LS_POOLS_KEY, BE_POOLS_KEY, NORMALIZATION_RATIO_KEY])
@pytest.mark.parametrize(
    "text",
    ["[" * 1100, '{"a":' * 1100 + "1" + "}" * 1100, '[{"a":' * 1100 + "1" + "}]" * 1100, "9" * 5000, "\ud800", "\0", "null", "[null]"],
    ids=str.__len__,
)  # fmt: skip
def test_no_text_of_an_annotation_raises(key: str, text: str) -> None:
    reported = read_node_annotations({key: text}, NODE)
    assert reported._replace(problems=()) == AnnotatedNode()
    assert all(problem.startswith(f"annotation {key}: ") for problem in reported.problems)
