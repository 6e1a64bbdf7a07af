"""Which nodes a strategy applies to."""

import pytest

from tests.support.policies import policy_of


@pytest.mark.parametrize(
    ("selector", "matching", "others"),
    [
        ({"matchLabels": {"a": "1"}}, [{"a": "1"}, {"a": "1", "b": "2"}], [{}, {"a": "2"}]),
        ({"matchLabels": {"a": "1", "b": "2"}}, [{"a": "1", "b": "2"}], [{"a": "1"}, {"b": "2"}]),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, [{"a": "2"}], [{}, {"a": "3"}]),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, [{}, {"a": "2"}], [{"a": "1"}]),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, [{"a": ""}], [{}, {"b": ""}]),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, [{}, {"b": ""}], [{"a": ""}]),
        (
            {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]},
            [{"a": "1", "b": ""}],
            [{"a": "1"}, {"b": ""}],
        ),
        ({"MatchLabels": {"kubernetes.io/hostname": "node-7"}}, [{"kubernetes.io/hostname": "node-7"}], [{}]),
    ],
)
def test_selector(selector, matching, others):
    document = {"nodeStrategies": [{"nodeSelector": selector, "policy": "auto"}]}
    for labels in matching:
        assert policy_of(labels, cpu_burst_config=document).burst.policy == "auto", labels
    for labels in others:
        assert policy_of(labels, cpu_burst_config=document).burst.policy == "none", labels


def test_the_node_name_stands_in_for_its_hostname_label():
    document = {
        "nodeStrategies": [{"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "n1"}}, "policy": "auto"}]
    }
    assert policy_of({}, "n1", cpu_burst_config=document).burst.policy == "auto"
    assert policy_of({"kubernetes.io/hostname": "other"}, "n1", cpu_burst_config=document).burst.policy == "none"
