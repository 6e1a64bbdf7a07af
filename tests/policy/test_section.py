"""defaults <- cluster strategy <- first node strategy that matches."""

from koordnri.policy.burst import CPUBurst
from koordnri.policy.threshold import ResourceThreshold
from tests.support.policies import policy_of


def test_node_strategy_overrides_only_what_it_says():
    # Vector 72 of the reference.
    document = {
        "clusterStrategy": {"enable": True, "cpuSuppressThresholdPercent": 60},
        "nodeStrategies": [
            {"name": "n", "nodeSelector": {"matchLabels": {"pool": "x"}}, "cpuSuppressThresholdPercent": 50},
        ],
    }
    found = policy_of({"pool": "x"}, resource_threshold_config=document)
    assert found.threshold == ResourceThreshold(enable=True, cpu_suppress_threshold_percent=50)
    assert found.strategies == {"resource-threshold-config": "n"}
    elsewhere = policy_of({"pool": "y"}, resource_threshold_config=document)
    assert elsewhere.threshold == ResourceThreshold(enable=True, cpu_suppress_threshold_percent=60)
    assert elsewhere.strategies == {}


def test_first_match_wins_and_later_ones_are_not_looked_at():
    document = {
        "nodeStrategies": [
            {"nodeSelector": {"matchLabels": {"zone": "b"}}, "cpuBurstPercent": 1},
            {"nodeSelector": {"matchLabels": {"zone": "a"}}, "cpuBurstPercent": 2},
            {"nodeSelector": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}, "policy": "auto"},
        ]
    }
    found = policy_of({"zone": "a"}, cpu_burst_config=document)
    assert found.burst == CPUBurst(cpu_burst_percent=2)
    assert found.strategies == {"cpu-burst-config": "#1"}


def test_objects_and_maps_are_merged_lists_are_replaced():
    matches = {"nodeSelector": {"matchLabels": {"a": "b"}}}
    found = policy_of(
        {"a": "b"},
        resource_qos_config={
            "clusterStrategy": {
                "beClass": {
                    "cpuQOS": {"enable": True, "groupIdentity": 1},
                    "blkioQOS": {"enable": True, "blocks": [{"name": "/dev/sda"}, {"name": "/dev/sdb"}]},
                }
            },
            "nodeStrategies": [
                {**matches, "beClass": {"cpuQOS": {"schedIdle": 1}, "blkioQOS": {"blocks": [{"name": "/dev/sdc"}]}}}
            ],
        },
        system_config={
            "clusterStrategy": {"schedFeatures": {"X": True, "Y": True}},
            "nodeStrategies": [{**matches, "schedFeatures": {"Y": False}}],
        },
        cpu_normalization_config={
            "enable": True,
            "ratioModel": {"m1": {"baseRatio": 1.5, "turboEnabledRatio": 2}, "m2": {"baseRatio": 1.1}},
            "nodeConfigs": [{**matches, "ratioModel": {"m1": {"baseRatio": 1.2}}}],
        },
        host_application_config={
            "applications": [{"name": "a"}, {"name": "b"}],
            "nodeConfigs": [
                {**matches, "applications": [{"name": "c", "qos": "LS", "cgroupPath": {"relativePath": "c"}}]}
            ],
        },
    )
    be = found.qos.be
    assert (be.cpu.enable, be.cpu.group_identity, be.cpu.sched_idle) == (True, 1, 1)
    assert be.blkio.enable
    assert [block.name for block in be.blkio.blocks] == ["/dev/sdc"]
    assert found.system.sched_features == {"X": True, "Y": False}
    ratios = found.normalization.ratio_model
    assert (ratios["m1"].base_ratio, ratios["m1"].turbo_enabled_ratio, ratios["m2"].base_ratio) == (1.2, 2.0, 1.1)
    assert found.normalization.enable
    assert [(app.name, app.qos, app.cgroup_path.base) for app in found.host_applications] == [("c", "LS", "CgroupRoot")]


def test_null_counts_as_absent():
    document = {
        "clusterStrategy": {"cpuBurstPercent": 50, "policy": None},
        "nodeStrategies": [{"nodeSelector": {"matchLabels": {"a": "b"}}, "cpuBurstPercent": None}],
    }
    assert policy_of({"a": "b"}, cpu_burst_config=document).burst == CPUBurst(cpu_burst_percent=50)
