"""Node strategies that hide others: what is warned about when a policy is read, and noted when it is made for a node."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.policy import load_policy, resolve
from koordnri.policy.document import SHAPES
from koordnri.policy.overlap import never_taken
from koordnri.policy.selector import NodeSelector, Requirement


def labels(**values):
    return {"matchLabels": values}


def asks(*requirements):
    names = ("key", "operator", "values")
    return {"matchExpressions": [dict(zip(names, requirement, strict=False)) for requirement in requirements]}


def document(*strategies, key="cpu-burst-config"):
    """A strategy is a selector, or a name and a selector."""
    nodes = [
        {"name": strategy[0], "nodeSelector": strategy[1]}
        if isinstance(strategy, tuple)
        else {"nodeSelector": strategy}
        for strategy in strategies
    ]
    return load_policy(json.dumps({key: {SHAPES[key].nodes_key: nodes}}), "test")


def warnings(*strategies, key="cpu-burst-config"):
    return [str(warning) for warning in document(*strategies, key=key).warnings]


@pytest.mark.parametrize("key", SHAPES)
def test_a_strategy_that_an_earlier_one_hides_is_warned_about_with_both_paths(key):
    nodes = SHAPES[key].nodes_key
    assert warnings(("all", labels(pool="x")), labels(zone="a"), ("big", labels(pool="x", zone="b")), key=key) == [
        f'{key}.{nodes}[2].nodeSelector: never taken, as {nodes}[0] "all" comes first and matches every node that this '
        "one matches"
    ]


def test_the_narrow_one_first_is_how_it_is_meant():
    assert warnings(labels(pool="x", zone="b"), labels(pool="x"), labels(pool="y")) == []


@pytest.mark.parametrize(
    ("earlier", "later", "hidden"),
    [
        (asks(("a", "In", ["1", "2"])), labels(a="1"), True),
        (asks(("a", "In", ["1", "2"])), asks(("a", "In", ["2", "3"])), False),
        (asks(("a", "In", ["2", "1"])), asks(("a", "In", ["1", "2"])), True),
        (asks(("a", "Exists")), labels(a="1"), True),
        (asks(("a", "Exists")), asks(("a", "NotIn", ["1"])), False),
        (asks(("a", "NotIn", ["1"])), labels(a="2"), True),
        (asks(("a", "NotIn", ["1"])), labels(b="2"), False),
        (asks(("a", "NotIn", ["1"])), asks(("a", "DoesNotExist")), True),
        (asks(("a", "NotIn", ["1"])), asks(("a", "NotIn", ["2", "1"])), True),
        (asks(("a", "DoesNotExist")), asks(("a", "NotIn", ["1"])), False),
        (labels(a="1"), asks(("a", "In", ["1", "2"]), ("a", "NotIn", ["2"])), True),
    ],
)
def test_expressions_are_understood(earlier, later, hidden):
    assert bool(warnings(earlier, later)) == hidden


@pytest.mark.parametrize(
    "selector",
    [
        asks(("a", "In", ["1"]), ("a", "NotIn", ["1"])),
        asks(("a", "Exists"), ("a", "DoesNotExist")),
        {**labels(a="1"), **asks(("a", "In", ["2"]))},
    ],
)
def test_a_selector_that_contradicts_itself_is_warned_about(selector):
    assert warnings(selector) == [
        "cpu-burst-config.nodeStrategies[0].nodeSelector: never taken, as no node can satisfy it"
    ]


def test_a_repeated_name_is_warned_about_and_missing_ones_are_not():
    assert warnings(("a", labels(a="1")), ("a", labels(a="2")), labels(a="3"), labels(a="4")) == [
        'cpu-burst-config.nodeStrategies[1].name: nodeStrategies[0] has the same name "a"'
    ]


def test_of_a_section_with_mistakes_only_the_mistakes_are_reported():
    hidden = [{"nodeSelector": labels(a="1")}, {"nodeSelector": labels(a="1"), "policy": "x"}]
    with pytest.raises(ValueError, match="policy: expected none") as refused:
        load_policy(json.dumps({"cpu-burst-config": {"nodeStrategies": hidden}}), "test")
    assert len(refused.value.mistakes) == 1


KEYS, VALUES = ("a", "b"), ("1", "2")
REQUIREMENTS = st.builds(
    lambda key, operator, values: Requirement(key, operator, values if operator.endswith("In") else ()),
    st.sampled_from(KEYS),
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
    st.lists(st.sampled_from(VALUES), min_size=1).map(tuple),
)
SELECTORS = st.builds(
    NodeSelector,
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.lists(REQUIREMENTS, max_size=3).map(tuple),
).filter(lambda selector: not selector.empty)
NODES = [
    {key: value for key, value in zip(KEYS, values, strict=True) if value is not None}
    for values in itertools.product((None, *VALUES, "some other"), repeat=len(KEYS))
]


@given(st.lists(SELECTORS, max_size=6))
def test_exactly_those_are_reported_that_one_earlier_selector_hides(selectors):
    matched = [[node for node in NODES if selector.matches(node)] for selector in selectors]
    found = dict(never_taken(selectors))
    for index, nodes in enumerate(matched):
        hiding = [e for e in range(index) if all(node in matched[e] for node in nodes)]
        assert (index in found) == (not nodes or bool(hiding))
        if index in found:
            assert found[index] is None if not nodes else found[index] in hiding


def test_selectors_that_must_all_be_compared_are_so_a_bounded_number_of_times():
    unlike = [NodeSelector({}, (Requirement("a", "NotIn", (str(index),)),)) for index in range(10_000)]
    assert list(never_taken([*unlike[:100], unlike[0]])) == [(100, 0)]
    assert list(never_taken([*unlike, unlike[0]])) == []  # not looked at; all pairs would take a minute


def test_what_hides_and_what_is_hidden_are_found_among_thousands():
    selectors = [NodeSelector({"pool": "x", "host": f"node-{index}"}) for index in range(5000)]
    assert list(never_taken([*selectors, selectors[4321]])) == [(5000, 4321)]


# of a node


def notes(node_labels, *strategies, key="cpu-burst-config"):
    return resolve(document(*strategies, key=key), "", node_labels).notes


def test_the_strategies_that_match_a_node_besides_the_one_taken_are_noted():
    strategies = [("a", labels(zone="1")), labels(pool="x"), ("c", asks(("zone", "Exists"))), labels(pool="y")]
    assert notes({"zone": "1", "pool": "x"}, *strategies) == (
        'cpu-burst-config: nodeStrategies[0] "a" is taken, as it comes first; this node is matched by nodeStrategies[1], '
        'nodeStrategies[2] "c", too',
    )
    assert notes({"pool": "x"}, *strategies) == ()
    assert notes({}, *strategies) == ()


def test_a_note_names_a_handful_however_many_there_are():
    [note] = notes({"a": "1"}, *[("n" * 1000, labels(a="1"))] * 50)
    assert note.endswith(", 44 more, too")
    assert len(note) < 1000


def test_sections_of_nodeconfigs_are_noted_under_their_own_name():
    [note] = notes({"a": "1", "b": "2"}, labels(a="1"), labels(b="2"), key="cpu-normalization-config")
    assert note.startswith("cpu-normalization-config: nodeConfigs[0] is taken")
