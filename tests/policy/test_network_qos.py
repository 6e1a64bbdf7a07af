"""networkQOS: the requests of a node's classes go together, as Koordinator's webhook demands; here after the merge."""

import json

import pytest

from koordnri.policy import PolicyError, load_policy, resolve

SELECTOR = {"matchLabels": {"a": "1"}}
OTHER = {"matchLabels": {"b": "2"}}


def network(**requests):
    return {"networkQOS": requests}


def load(qos, system=None):
    return load_policy(json.dumps({"resource-qos-config": qos, "system-config": system}), "test")


def mistakes(qos, system=None):
    with pytest.raises(PolicyError) as refused:
        load(qos, system)
    return [(mistake.path.removeprefix("resource-qos-config."), mistake.message) for mistake in refused.value.mistakes]


LS_60 = {"lsClass": network(ingressRequest=60, egressRequest=60)}


def test_percents_may_add_up_to_100_and_limits_to_more():
    full = {**LS_60, "beClass": network(ingressRequest=40, egressRequest=40, ingressLimit=90, egressLimit=90)}
    assert [w.message for w in load(full).warnings if "outside" not in w.message] == []
    assert load({**full, "systemClass": network(ingressRequest=90), "cgroupRoot": network(egressRequest=90)})


@pytest.mark.parametrize("enable", [True, False])
def test_percents_above_100_together_are_refused_by_direction(enable):
    three = {
        **LS_60,
        "lsrClass": network(egressRequest=1, enable=enable),
        "beClass": network(egressRequest=40, ingressRequest=40),
    }
    assert mistakes(three) == [
        (
            "beClass.networkQOS.egressRequest",
            "expected at most 100 % together, got 1 (lsrClass) + 60 (lsClass) + 40 (beClass)",
        )
    ]


def test_what_a_node_strategy_adds_to_the_cluster_counts():
    nodes = [{"nodeSelector": SELECTOR, "beClass": network(ingressRequest=41)}, {"nodeSelector": OTHER}]
    assert mistakes({**LS_60, "nodeStrategies": nodes}) == [
        (
            "nodeStrategies[0].beClass.networkQOS.ingressRequest",
            "expected at most 100 % together, got 60 (lsClass) + 41 (beClass)",
        )
    ]


def test_percents_beside_quantities_are_refused():
    assert mistakes({**LS_60, "beClass": network(ingressRequest="10M", ingressLimit="1G")}) == [
        (
            "beClass.networkQOS.ingressRequest",
            "expected percents everywhere or quantities everywhere, got a quantity here and a percent in "
            "lsClass.networkQOS.ingressRequest",
        )
    ]
    assert load({**LS_60, "beClass": network(ingressLimit="1G")})


QUANTITIES = {"lsClass": network(ingressRequest="60M"), "beClass": network(ingressRequest="40.5M")}
TOO_MUCH = (
    "expected at most system-config's totalNetworkBandwidth 100000000 together, got 60M (lsClass) + 40.5M (beClass)"
)
MBIT_100 = {"totalNetworkBandwidth": "100M"}


def test_quantities_above_the_bandwidth_together_are_refused():
    assert mistakes(QUANTITIES, MBIT_100) == [("beClass.networkQOS.ingressRequest", TOO_MUCH)]
    assert load(QUANTITIES, {"totalNetworkBandwidth": "100.5M"})


def test_of_an_unknown_bandwidth_nothing_is_too_much():
    assert load(QUANTITIES)
    assert load(QUANTITIES, {"totalNetworkBandwidth": 0})


def test_the_cluster_is_not_refused_again_for_each_node():
    assert len(mistakes({**QUANTITIES, "nodeStrategies": [{"nodeSelector": SELECTOR}]}, MBIT_100)) == 1


def test_a_node_strategy_is_measured_by_the_bandwidth_for_the_same_nodes():
    nodes = [{"nodeSelector": SELECTOR, **QUANTITIES}]
    refused = [("nodeStrategies[0].beClass.networkQOS.ingressRequest", TOO_MUCH)]
    assert mistakes({"nodeStrategies": nodes}, MBIT_100) == refused
    same = [{"nodeSelector": OTHER, "totalNetworkBandwidth": "1"}, {"nodeSelector": SELECTOR, **MBIT_100}]
    assert mistakes({"nodeStrategies": nodes}, {"totalNetworkBandwidth": "1G", "nodeStrategies": same}) == refused


def test_strategies_that_only_meet_on_a_node_are_noted_there():
    document = load(QUANTITIES, {"nodeStrategies": [{"nodeSelector": SELECTOR, **MBIT_100}]})
    assert resolve(document, "", {"a": "1"}).notes == (
        f"resource-qos-config.beClass.networkQOS.ingressRequest: {TOO_MUCH}",
    )
    assert resolve(document, "", {}).notes == ()
