"""Single values: numbers, quantities and percents."""

from tests.support.policies import policy_of


def test_quantities_are_numbers_or_texts():
    assert policy_of({}, system_config={"totalNetworkBandwidth": "10M"}).system.total_network_bandwidth == 10_000_000
    assert policy_of({}, system_config={"totalNetworkBandwidth": 5000}).system.total_network_bandwidth == 5000
    network = policy_of(
        {}, resource_qos_config={"lsClass": {"networkQOS": {"ingressLimit": 50, "egressLimit": "50M"}}}
    ).qos.ls.network
    assert (network.ingress_limit, network.egress_limit) == (50, "50M")
