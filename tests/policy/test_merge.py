"""defaults <- cluster strategy <- first node strategy that matches."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.policy import DEFAULT_POLICY, resolve
from koordnri.policy.burst import CPUBurst
from koordnri.policy.memory_qos import MemoryQOS
from koordnri.policy.qos import ResourceQOS
from koordnri.policy.reader import read
from koordnri.policy.report import Report
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


def test_a_disabled_class_keeps_its_values_and_says_that_it_is_disabled():
    found = policy_of({}, resource_qos_config={"lsClass": {"memoryQOS": {"enable": False, "minLimitPercent": 40}}})
    assert (found.qos.ls.memory.enable, found.qos.ls.memory.min_limit_percent) == (False, 40)


def test_enabling_a_class_gives_its_own_defaults():
    found = policy_of(
        {}, resource_qos_config={"beClass": {"memoryQOS": {"enable": True}, "resctrlQOS": {"enable": True}}}
    )
    assert found.qos.be.memory == MemoryQOS(enable=True, wmark_ratio=95, wmark_scale_permill=20, wmark_min_adj=50)
    assert found.qos.be.resctrl.cat_range_end_percent == 30
    assert found.qos.ls == DEFAULT_POLICY.qos.ls


def test_quantities_are_numbers_or_texts():
    assert policy_of({}, system_config={"totalNetworkBandwidth": "10M"}).system.total_network_bandwidth == 10_000_000
    assert policy_of({}, system_config={"totalNetworkBandwidth": 5000}).system.total_network_bandwidth == 5000
    network = policy_of(
        {}, resource_qos_config={"lsClass": {"networkQOS": {"ingressLimit": 50, "egressLimit": "50M"}}}
    ).qos.ls.network
    assert (network.ingress_limit, network.egress_limit) == (50, "50M")


def test_without_a_document_the_defaults_hold():
    assert resolve(None, "n1", {}) is DEFAULT_POLICY


def test_labels_of_qos_map_to_classes():
    qos = DEFAULT_POLICY.qos
    assert [qos.of(label) for label in ("LSE", "LSR", "LS", "BE", "SYSTEM", "", "ls")] == [
        qos.lsr, qos.lsr, qos.ls, qos.be, qos.system, None, None,
    ]  # fmt: skip


PERCENT = st.integers(0, 100)
MEMORY = st.fixed_dictionaries(
    {},
    optional={
        "enable": st.booleans(),
        "minLimitPercent": PERCENT,
        "lowLimitPercent": PERCENT,
        "throttlingPercent": PERCENT,
        "wmarkRatio": PERCENT,
        "wmarkScalePermill": st.integers(1, 1000),
        "wmarkMinAdj": st.integers(-25, 50),
        "priority": st.integers(0, 12),
    },
)
CLASS = st.fixed_dictionaries(
    {}, optional={"memoryQOS": MEMORY, "resctrlQOS": st.fixed_dictionaries({}, optional={"mbaPercent": PERCENT})}
)
QOS = st.fixed_dictionaries({}, optional={"lsrClass": CLASS, "lsClass": CLASS, "beClass": CLASS, "systemClass": CLASS})


def laid_over(value, base):
    report = Report()
    result = read(ResourceQOS, value, report, base)
    assert report.mistakes == []
    return result


def written(document, prefix=()):
    for key, value in document.items():
        yield from written(value, (*prefix, key)) if isinstance(value, dict) else [(*prefix, key)]


def leaves(value, prefix=()):
    for info in msgspec.structs.fields(value):
        item = getattr(value, info.name)
        path = (*prefix, info.encode_name)
        if isinstance(item, msgspec.Struct):
            yield from leaves(item, path)
        else:
            yield path, item


@given(QOS)
def test_reading_twice_changes_nothing_more(document):
    once = laid_over(document, ResourceQOS())
    assert laid_over(document, once) == once


@given(QOS)
def test_only_what_is_written_differs_from_the_base(document):
    base, result = dict(leaves(ResourceQOS())), dict(leaves(laid_over(document, ResourceQOS())))
    assert {path for path in base if base[path] != result[path]} <= set(written(document))
    for path in written(document):
        value = document
        for key in path:
            value = value[key]
        assert result[path] == value


@given(QOS, QOS)
def test_the_later_document_wins_and_the_earlier_fills_in(first, second):
    result = dict(leaves(laid_over(second, laid_over(first, ResourceQOS()))))
    only_first = dict(leaves(laid_over(first, ResourceQOS())))
    only_second = dict(leaves(laid_over(second, ResourceQOS())))
    later = set(written(second))
    assert result == {path: (only_second if path in later else only_first)[path] for path in result}


@given(QOS, st.randoms(use_true_random=False))
def test_letter_case_of_keys_does_not_matter(document, random):
    def shuffled(value):
        if not isinstance(value, dict):
            return value
        return {"".join(random.choice((c.lower(), c.upper())) for c in k): shuffled(v) for k, v in value.items()}

    assert laid_over(shuffled(document), ResourceQOS()) == laid_over(document, ResourceQOS())
