"""koordnri's own key: hooks and what concerns all of them."""

import pytest

from koordnri.model.cpuset import CPUSet
from koordnri.policy import PolicyError
from tests.policy.documents import policy_of_text


def test_hooks_have_mode_failure_policy_and_options():
    found = policy_of_text(
        "koordnri-config: {chainBudgetMilliseconds: 250, hooks: {"
        "cpuset: {keepQuota: true, beCPUManager: true, failurePolicy: fail}, cfs_quota: {mode: 'off'}, memory: {mode: observe}, "
        "blkio: {className: {be: slow}}, gpu: {hamiCacheDirectory: /var/hami}, acme: {failurePolicy: fail, options: {a: [1]}}}}"
    )
    assert found.cpuset.keep_quota
    assert found.cpuset.be_cpu_manager
    assert found.blkio.class_names == {"be": "slow"}
    assert found.gpu.hami_cache_directory == "/var/hami"
    assert found.chain_budget_s == 0.25
    names = ["cpuset", "cfs_quota", "memory", "acme", "nobody"]
    assert [found.failure_policy(name) for name in names] == ["fail", "ignore", "ignore", "fail", "ignore"]
    assert [found.hook_mode(name) for name in names] == ["enforce", "off", "observe", "enforce", "enforce"]
    assert found.hook_options("acme") == {"a": [1]}
    assert found.hook_options("nobody") == {}


def test_our_own_keys_beside_the_hooks():
    wanted = policy_of_text(
        "koordnri-config: {namespacesLeftAlone: [kube-system, a1], reservedCPUs: ' 0-1, 8,1 ', recordRoute: none}"
    )
    assert wanted.namespaces_left_alone == {"kube-system", "a1"}
    assert wanted.reserved_cpus == CPUSet([0, 1, 8])
    assert wanted.record_route == "none"
    nothing = policy_of_text("koordnri-config: {namespacesLeftAlone: [], reservedCPUs: null, recordRoute: ''}")
    assert (nothing.namespaces_left_alone, nothing.reserved_cpus, nothing.record_route) == (frozenset(), None, None)


def test_a_node_strategy_replaces_the_namespaces_and_cpus_of_the_cluster():
    text = (
        "koordnri-config: {clusterStrategy: {namespacesLeftAlone: [a, b], reservedCPUs: '0', recordRoute: reply}, "
        "nodeStrategies: [{nodeSelector: {matchLabels: {big: 'yes'}}, namespacesLeftAlone: [c], reservedCPUs: 4-5}]}"
    )
    found = policy_of_text(text, big="yes")
    assert (found.namespaces_left_alone, found.reserved_cpus, found.record_route) == ({"c"}, CPUSet([4, 5]), "reply")
    assert policy_of_text(text).reserved_cpus == CPUSet([0])


def test_what_is_published_of_a_node_is_the_clusters_or_the_nodes_strategy():
    text = (
        "koordnri-config: {clusterStrategy: {publishTopology: zones}, "
        "nodeStrategies: [{nodeSelector: {matchLabels: {big: 'yes'}}, publishTopology: koordinator}]}"
    )
    assert policy_of_text(text).publish_topology == "zones"
    assert policy_of_text(text, big="yes").publish_topology == "koordinator"


@pytest.mark.parametrize("mode", ["off", "Off", "'off'", "false"])
def test_off_needs_no_quotes_though_yaml_makes_false_of_it(mode):
    assert policy_of_text(f"koordnri-config: {{hooks: {{rdt: {{mode: {mode}}}}}}}").hook_mode("rdt") == "off"


def test_an_empty_text_is_no_item_of_a_list():
    with pytest.raises(PolicyError, match=r"hooks.cfs_quota.liftFor\[1\]: expected a value, got \"\""):
        policy_of_text("koordnri-config: {hooks: {cfs_quota: {liftFor: [LS, '']}}}")


def test_the_bounds_of_the_memory_staircase():
    usual = policy_of_text("{}").controllers.memory_high
    assert (usual.mode, usual.available_percent, usual.pressure_percent, usual.stall_percent) == ("off", 10, 10, 20)
    chosen = policy_of_text(
        "koordnri-config: {controllers: {memoryHigh: {mode: enforce, availablePercent: 15, stallPercent: 5}}}"
    ).controllers.memory_high
    assert (chosen.mode, chosen.available_percent, chosen.pressure_percent, chosen.stall_percent) == (
        "enforce",
        15,
        10,
        5,
    )
    with pytest.raises(PolicyError, match="stallPercent"):
        policy_of_text("koordnri-config: {controllers: {memoryHigh: {stallPercent: 0}}}")
