"""Keys of resctrl that koordlet does not have: ways of L2, and what 100 % of the bandwidth is."""

import pytest

from koordnri.policy import PolicyError
from tests.support.policies import policy_of


def classes(**has):
    return {"clusterStrategy": {"beClass": {"resctrlQOS": {"enable": True, **has}}}}


def test_l2_is_whole_unless_it_is_set():
    assert policy_of(resource_qos_config=classes()).qos.be.resctrl.l2_range_end_percent == 100
    resctrl = policy_of(resource_qos_config=classes(l2RangeStartPercent=10, l2RangeEndPercent=40)).qos.be.resctrl
    assert (resctrl.l2_range_start_percent, resctrl.l2_range_end_percent) == (10, 40)


def test_a_range_of_l2_that_is_none_is_refused_with_its_path():
    with pytest.raises(PolicyError, match="l2RangeStartPercent: expected less than l2RangeEndPercent 40, got 40"):
        policy_of(resource_qos_config=classes(l2RangeStartPercent=40, l2RangeEndPercent=40))


def test_the_bandwidth_of_a_domain_is_not_known_unless_it_is_set():
    assert policy_of().rdt.memory_bandwidth_mbps is None
    reported = {"clusterStrategy": {"hooks": {"rdt": {"memoryBandwidthMBps": 40000}}}}
    assert policy_of(koordnri_config=reported).rdt.memory_bandwidth_mbps == 40_000


@pytest.mark.parametrize("value", [0, -1, "40GB"])
def test_a_bandwidth_that_is_none_is_refused(value):
    with pytest.raises(PolicyError, match=r"hooks\.rdt\.memoryBandwidthMBps"):
        policy_of(koordnri_config={"clusterStrategy": {"hooks": {"rdt": {"memoryBandwidthMBps": value}}}})
