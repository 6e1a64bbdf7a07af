"""What is accepted as a policy document, and how each mistake is named."""

import json

import pytest

from koordnri.policy import DEFAULT_POLICY, PolicyError, load_data, load_policy, resolve
from koordnri.policy.document import SHAPES
from tests.policy.documents import mistakes, policy_of_text, warnings

THRESHOLD_60 = '{"clusterStrategy": {"enable": true, "cpuSuppressThresholdPercent": 60}}'


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps({"resource-threshold-config": THRESHOLD_60}), id="data as JSON, value as text"),
        pytest.param("resource-threshold-config: |\n  " + THRESHOLD_60, id="data as YAML, value as JSON text"),
        pytest.param("resource-threshold-config: " + THRESHOLD_60, id="value already a mapping"),
        pytest.param(
            "resource-threshold-config: |\n  clusterStrategy:\n    enable: true\n    cpuSuppressThresholdPercent: 60\n",
            id="value as YAML text",
        ),
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: slo-controller-config}\ndata:\n"
            "  resource-threshold-config: |\n    " + THRESHOLD_60,
            id="manifest",
        ),
        pytest.param(
            'resource-threshold-config: {"enable": true, "cpuSuppressThresholdPercent": 60}',
            id="fields without clusterStrategy",
        ),
        pytest.param(
            'resource-threshold-config: {"ClusterStrategy": {"Enable": true, "CPUSUPPRESSTHRESHOLDPERCENT": 60}}',
            id="any case",
        ),
        pytest.param(
            'resource-threshold-config: |\n  {\n  \t"enable": true,\n  \t"cpuSuppressThresholdPercent": 60}', id="tabs"
        ),
        pytest.param(
            b"\xef\xbb\xbfresource-threshold-config: " + THRESHOLD_60.encode(), id="bytes with a byte order mark"
        ),
    ],
)
def test_every_way_to_write_it_reads_the_same(text):
    found = policy_of_text(text)
    assert (found.threshold.enable, found.threshold.cpu_suppress_threshold_percent) == (True, 60)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "kind: ConfigMap",
        "kind: ConfigMap\ndata:\n",
        "resource-qos-config: ''",
        "resource-qos-config:",
        "resource-qos-config: '{}'",
    ],
)
def test_a_document_that_says_nothing_is_the_defaults(text):
    assert policy_of_text(text).qos == DEFAULT_POLICY.qos


OWN_KEYS = "hooks, controllers, trust, chainBudgetMilliseconds, namespacesLeftAlone, reservedCPUs, recordRoute, publishTopology"

MISTAKES = [
    # ranges and types
    (
        'resource-qos-config: {"beClass": {"memoryQOS": {"minLimitPercent": 250}}}',
        ["resource-qos-config.beClass.memoryQOS.minLimitPercent: expected 0..100, got 250"],
    ),
    (
        'resource-qos-config: {"clusterStrategy": {"beClass": {"memoryQOS": {"minLimitPercent": 250}}}}',
        ["resource-qos-config.beClass.memoryQOS.minLimitPercent: expected 0..100, got 250 (clusterStrategy)"],
    ),
    (
        'resource-qos-config: {"nodeStrategies": [{"nodeSelector": {"matchLabels": {"a": "b"}}, '
        '"BECLASS": {"cpuQOS": {"groupIdentity": 3}}}]}',
        ["resource-qos-config.nodeStrategies[0].beClass.cpuQOS.groupIdentity: expected -1..2, got 3"],
    ),
    (
        'resource-qos-config: {"beClass": {"memoryQOS": {"minLimitPercent": "abc", "enable": "yes", "priorityEnable": true}}}',
        [
            'resource-qos-config.beClass.memoryQOS.minLimitPercent: expected an integer 0..100, got "abc"',
            'resource-qos-config.beClass.memoryQOS.enable: expected true or false, got "yes"',
            "resource-qos-config.beClass.memoryQOS.priorityEnable: expected an integer 0..1, got true",
        ],
    ),
    ("resource-qos-config: {lsClass: 3}", ["resource-qos-config.lsClass: expected a mapping, got 3"]),
    ("resource-qos-config: [1]", ["resource-qos-config: expected a mapping, got [1]"]),
    ("resource-qos-config: 7", ["resource-qos-config: expected a mapping, got 7"]),
    ("resource-qos-config: some words", ['resource-qos-config: expected a mapping, got "some words"']),
    (
        "resource-qos-config: {clusterStrategy: []}",
        ["resource-qos-config: expected a mapping, got [] (clusterStrategy)"],
    ),
    (
        "resource-qos-config: {nodeStrategies: {}}",
        ["resource-qos-config.nodeStrategies: expected a list, got {}"],
    ),
    (
        "resource-qos-config: {nodeStrategies: [x]}",
        ['resource-qos-config.nodeStrategies[0]: expected a mapping, got "x"'],
    ),
    (
        "cpu-burst-config: {cpuBurstPercent: 10.5}",
        ["cpu-burst-config.cpuBurstPercent: expected an integer 1..10000, got 10.5"],
    ),
    (
        "cpu-burst-config: {cpuBurstPercent: .nan}",
        ["cpu-burst-config.cpuBurstPercent: expected an integer 1..10000, got nan"],
    ),
    (
        "cpu-burst-config: {cfsQuotaBurstPercent: 99}",
        ["cpu-burst-config.cfsQuotaBurstPercent: expected at least 100, got 99"],
    ),
    (
        "cpu-burst-config: {cfsQuotaBurstPercent: 9223372036854775808}",
        ["cpu-burst-config.cfsQuotaBurstPercent: expected at least 100, got 9223372036854775808"],
    ),
    (
        "cpu-burst-config: {policy: always}",
        ['cpu-burst-config.policy: expected none, auto, cpuBurstOnly or cfsQuotaBurstOnly, got "always"'],
    ),
    (
        "cpu-normalization-config: {defaultRatio: nine, ratioModel: {Xeon: {baseRatio: .inf, turboEnabledRatio: '2'}}}",
        [
            'cpu-normalization-config.defaultRatio: expected a number, got "nine"',
            "cpu-normalization-config.ratioModel.Xeon.baseRatio: expected a number, got inf",
            'cpu-normalization-config.ratioModel.Xeon.turboEnabledRatio: expected a number, got "2"',
        ],
    ),
    (
        "system-config: {totalNetworkBandwidth: 10Q}",
        ['system-config.totalNetworkBandwidth: expected a quantity such as 10M or 1Gi, got "10Q"'],
    ),
    (
        "system-config: {totalNetworkBandwidth: -5}",
        ["system-config.totalNetworkBandwidth: expected a quantity at least 0, got -5"],
    ),
    ("system-config: {schedFeatures: {A: 1}}", ["system-config.schedFeatures.A: expected true or false, got 1"]),
    (
        "resource-qos-config: {lsClass: {networkQOS: {ingressLimit: 101, egressLimit: fast}}}",
        [
            "resource-qos-config.lsClass.networkQOS.ingressLimit: expected a percent 0..100 or a quantity such as 10M, got 101",
            'resource-qos-config.lsClass.networkQOS.egressLimit: expected a percent 0..100 or a quantity such as 10M, got "fast"',
        ],
    ),
    (
        "resource-qos-config: {beClass: {blkioQOS: {blocks: [{ioCfg: {readIOPS: -1}}, {name: '', type: disk}]}}}",
        [
            "resource-qos-config.beClass.blkioQOS.blocks[0].ioCfg.readIOPS: expected at least 0, got -1",
            "resource-qos-config.beClass.blkioQOS.blocks[0].name: expected a value, it is missing",
            'resource-qos-config.beClass.blkioQOS.blocks[1].name: expected text that is not empty, got ""',
            'resource-qos-config.beClass.blkioQOS.blocks[1].type: expected device, volumegroup or podvolume, got "disk"',
        ],
    ),
    (
        "host-application-config: {applications: [{name: nginx, qos: LSX}, {qos: LS, cgroupPath: {relativePath: ../x}}]}",
        [
            'host-application-config.applications[0].qos: expected LSE, LSR, LS, BE or SYSTEM, got "LSX"',
            'host-application-config.applications[1].cgroupPath.relativePath: expected a path below the base, without "..", got "../x"',
            "host-application-config.applications[1].name: expected a value, it is missing",
        ],
    ),
    # values that are good alone
    (
        "resource-qos-config: {beClass: {resctrlQOS: {catRangeStartPercent: 30}}}",
        [
            "resource-qos-config.beClass.resctrlQOS.catRangeStartPercent: expected less than catRangeEndPercent 30, got 30"
        ],
    ),
    (
        "resource-threshold-config: {clusterStrategy: {memoryEvictLowerPercent: 70}}",
        [
            "resource-threshold-config.memoryEvictLowerPercent: "
            "expected less than memoryEvictThresholdPercent 70, got 70 (clusterStrategy)"
        ],
    ),
    (
        "resource-threshold-config: {memoryEvictLowerPercent: 60, "
        "nodeStrategies: [{nodeSelector: {matchLabels: {a: b}}, memoryEvictThresholdPercent: 50}]}",
        [
            "resource-threshold-config.nodeStrategies[0].memoryEvictLowerPercent: "
            "expected less than memoryEvictThresholdPercent 50, got 60"
        ],
    ),
    (
        "resource-threshold-config: {cpuEvictBESatisfactionLowerPercent: 60, cpuEvictBESatisfactionUpperPercent: 59}",
        [
            "resource-threshold-config.cpuEvictBESatisfactionLowerPercent: "
            "expected at most cpuEvictBESatisfactionUpperPercent 59, got 60"
        ],
    ),
    # selectors
    (
        "cpu-burst-config: {nodeStrategies: [{policy: auto}, {nodeSelector: {}}]}",
        [
            "cpu-burst-config.nodeStrategies[0].nodeSelector: expected matchLabels or matchExpressions, it is missing",
            "cpu-burst-config.nodeStrategies[1].nodeSelector: expected matchLabels or matchExpressions, got neither",
        ],
    ),
    (
        "cpu-burst-config: {nodeStrategies: [{name: 5, nodeSelector: {matchLabels: {a: 1}, matchExpressions: ["
        "{key: a, operator: in, values: [x]}, {key: a, operator: In}, {key: a, operator: Exists, values: [x]}, {operator: Exists}]}}]}",
        [
            "cpu-burst-config.nodeStrategies[0].name: expected text, got 5",
            "cpu-burst-config.nodeStrategies[0].nodeSelector.matchLabels.a: expected text, got 1",
            "cpu-burst-config.nodeStrategies[0].nodeSelector.matchExpressions[0].operator: "
            'expected In, NotIn, Exists or DoesNotExist, got "in"',
            "cpu-burst-config.nodeStrategies[0].nodeSelector.matchExpressions[1].values: expected at least one value for In, got none",
            "cpu-burst-config.nodeStrategies[0].nodeSelector.matchExpressions[2].values: expected no values for Exists, got 1",
            "cpu-burst-config.nodeStrategies[0].nodeSelector.matchExpressions[3].key: expected a value, it is missing",
        ],
    ),
    # our own key refuses what it does not know
    (
        "koordnri-config: {hooks: {cpuset: {keepQouta: true}}}",
        [
            "koordnri-config.hooks.cpuset.keepQouta: "
            "unknown key, expected one of mode, failurePolicy, keepQuota, allocate, whenFull, promote, minSharedCPUs, isolatedCPUs, "
            "memoryBind, keepInterruptsOff, expose, beCPUManager; "
            "did you mean keepQuota?"
        ],
    ),
    (
        "koordnri-config: {zzz: 1, namespaceLeftAlone: [kube-system], recordRoutes: none}",
        [
            "koordnri-config.zzz: unknown key, expected one of " + OWN_KEYS,
            f"koordnri-config.namespaceLeftAlone: unknown key, expected one of {OWN_KEYS}; did you mean namespacesLeftAlone?",
            f"koordnri-config.recordRoutes: unknown key, expected one of {OWN_KEYS}; did you mean recordRoute?",
        ],
    ),
    (
        "koordnri-config: {namespacesLeftAlone: [Kube-System, kube_system, -a, a-, '', 5, kube-system, "
        + "x" * 64
        + "], reservedCPUs: 3-1}",
        [
            'koordnri-config.namespacesLeftAlone[0]: expected the name of a namespace, got "Kube-System"',
            'koordnri-config.namespacesLeftAlone[1]: expected the name of a namespace, got "kube_system"',
            'koordnri-config.namespacesLeftAlone[2]: expected the name of a namespace, got "-a"',
            'koordnri-config.namespacesLeftAlone[3]: expected the name of a namespace, got "a-"',
            'koordnri-config.namespacesLeftAlone[4]: expected the name of a namespace, got ""',
            "koordnri-config.namespacesLeftAlone[5]: expected the name of a namespace, got 5",
            f'koordnri-config.namespacesLeftAlone[7]: expected the name of a namespace, got "{"x" * 59}…',
            'koordnri-config.reservedCPUs: expected a list of CPUs such as "0-1,8", each at most 8191, got "3-1"',
        ],
    ),
    *(
        (
            json.dumps({"koordnri-config": {"reservedCPUs": cpus}}),
            [
                'koordnri-config.reservedCPUs: expected a list of CPUs such as "0-1,8", each at most 8191, got '
                + json.dumps(cpus)
            ],
        )
        for cpus in ("", " ", ",", "0-", "a", "0-1\n", "8192", "0-1:2", 0, [0, 1], False)
    ),
    (
        "koordnri-config: {hooks: {rdt: {mode: audit}, gpu: {mode: true}}, recordRoute: write}",
        [
            'koordnri-config.hooks.rdt.mode: expected enforce, observe or off, got "audit"',
            "koordnri-config.hooks.gpu.mode: expected enforce, observe or off, got true",
            'koordnri-config.recordRoute: expected auto, unsolicited, resync, reply or none, got "write"',
        ],
    ),
    (
        "koordnri-config: {hooks: {cpusett: {keepQuota: true}}}",
        [
            "koordnri-config.hooks.cpusett.keepQuota: unknown key, expected one of mode, failurePolicy, options",
            "koordnri-config.hooks.cpusett: none of koordnri's own has this name; did you mean cpuset?",
        ],
    ),
    (
        "koordnri-config: {hooks: {gpu: {failurePolicy: Fail, hamiLockPath: ''}}}",
        [
            'koordnri-config.hooks.gpu.failurePolicy: expected ignore or fail, got "Fail"',
            'koordnri-config.hooks.gpu.hamiLockPath: expected text that is not empty, got ""',
        ],
    ),
    (
        "koordnri-config: {hooks: {blkio: {className: {be: slow, lse: fast}}}}",
        ['koordnri-config.hooks.blkio.className.lse: expected a class lsr, ls, be, system, got "lse"'],
    ),
    (
        "koordnri-config: {clusterStrategy: {}, chainBudgetMilliseconds: 5}",
        ["koordnri-config.chainBudgetMilliseconds: ignored, as it stands beside clusterStrategy and not in it"],
    ),
    # repeated keys
    ("cpu-burst-config: {policy: auto, policy: none}", ["cpu-burst-config.policy: given twice"]),
    ('{"cpu-burst-config": {"policy": "auto", "policy": "none"}}', ["cpu-burst-config.policy: given twice"]),
    ("cpu-burst-config: {}\ncpu-burst-config: {}", ["cpu-burst-config: given twice"]),
    ("kind: ConfigMap\ndata: {}\ndata: {}", ["data: given twice"]),
    (
        "cpu-burst-config: {policy: auto, Policy: none}",
        ['cpu-burst-config.policy: given twice, once as "Policy"; letter case does not distinguish keys'],
    ),
    (
        "cpu-burst-config: {nodeStrategies: [], NodeStrategies: []}",
        [
            'cpu-burst-config.nodeStrategies: given twice, once as "NodeStrategies"; letter case does not distinguish keys'
        ],
    ),
    # texts
    (
        'resource-qos-config: \'{"beClass": {\n  "memoryQOS" 5}}\'',
        ["resource-qos-config: broken JSON, line 1 column 27: expecting ':' delimiter"],
    ),
    (
        "resource-qos-config: |\n  beClass:\n    memoryQOS: [1",
        ["resource-qos-config: broken YAML, line 2 column 16: expected ',' or ']', but got '<stream end>'"],
    ),
    (
        "resource-qos-config: '{\"lsClass\": NaN}'",
        ["resource-qos-config: broken JSON, NaN is not a number that JSON knows"],
    ),
    (
        "resource-qos-config: '{lsClass: {}, beClass: [}'",
        ["resource-qos-config: broken YAML, line 1 column 25: expected the node content, but found '}'"],
    ),
    ("a: b\n c: d", ["broken YAML, line 2 column 3: mapping values are not allowed here"]),
    ("a: b\n---\nc: d", ["broken YAML, line 2 column 1: but found another document"]),
    ("a: \x07", ["broken YAML, line 1 column 4: character #x0007 is not allowed"]),
    ("a: &x [1]\nb: *x", ["broken YAML, line 2 column 4: aliases (*name) are not accepted"]),
    ("1: a", ["broken YAML, line 1 column 1: expected a key that is text, got 1 (put it in quotes)"]),
    (
        "a: !!python/object/apply:os.system [ls]",
        [
            "broken YAML, line 1 column 4: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.system'"
        ],
    ),
    # documents
    ("", ["expected a ConfigMap, or a mapping of its keys such as resource-qos-config, got nothing"]),
    ("# only a comment", ["expected a ConfigMap, or a mapping of its keys such as resource-qos-config, got nothing"]),
    ("- a", ['expected a ConfigMap, or a mapping of its keys such as resource-qos-config, got ["a"]']),
    ("just words", ['expected a ConfigMap, or a mapping of its keys such as resource-qos-config, got "just words"']),
    ("kind: Secret\ndata: {}", ['kind: expected ConfigMap, got "Secret"']),
    ("kind: ConfigMapList\nitems: []", ['kind: expected ConfigMap, got "ConfigMapList"']),
    (
        '{"kind":"Status","apiVersion":"v1","status":"Failure","code":403}',
        ['kind: expected ConfigMap, got "Status"'],
    ),
    (
        "<html><body>502 Bad Gateway</body></html>",
        [
            "expected a ConfigMap, or a mapping of its keys such as resource-qos-config, got "
            '"<html><body>502 Bad Gateway</body></html>"'
        ],
    ),
    (
        "kind: ConfigMap\ncpu-burst-config: {}\nbinaryData: {system-config: e30=, other: e30=}",
        [
            "cpu-burst-config: expected below data, as this is a ConfigMap",
            "binaryData.system-config: expected text, below data; kubectl puts here what is not UTF-8",
        ],
    ),
    ("kind: ConfigMap\ndata: [a]", ['data: expected a mapping, got ["a"]']),
    (b"a: \xff", ["expected UTF-8 text, byte 3 is 0xff"]),
]


@pytest.mark.parametrize(("text", "expected"), MISTAKES, ids=[f"{i}" for i in range(len(MISTAKES))])
def test_mistake_is_named_with_its_path(text, expected):
    assert mistakes(text) == expected


def test_a_wrong_cluster_strategy_is_not_reported_again_for_each_node():
    text = (
        "resource-threshold-config: {memoryEvictLowerPercent: 80, "
        "nodeStrategies: [{nodeSelector: {matchLabels: {a: b}}, enable: true}]}"
    )
    assert len(mistakes(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 500_000, id="open lists"),
        pytest.param('{"a":' * 200_000, id="open objects"),
        pytest.param('{"a":' * 70 + "1" + "}" * 70, id="closed objects, too deep"),
        pytest.param("- " * 100 + "a", id="YAML lists, too deep"),
        pytest.param("x" * (2 << 20), id="too long"),
        pytest.param("{" * 100_000, id="YAML flow mappings"),
        pytest.param('{"cpu-burst-config": ' + "9" * 5000 + "}", id="integer of thousands of digits"),
        pytest.param("cpu-burst-config: {cpuBurstPercent: " + "9" * 5000 + "}", id="the same in YAML"),
        pytest.param("cpu-burst-config: 2024-13-45", id="impossible date"),
        pytest.param("".join(f"a{i}: b\n" for i in range(30_000)), id="very many keys"),
        pytest.param("".join(chr(33 + i * 7919 % 90) for i in range(1 << 20)), id="a megabyte of nonsense"),
        pytest.param("\x00" * 1000, id="zeros"),
        pytest.param(bytes(range(256)) * 4096, id="a megabyte of bytes"),
        pytest.param("a: !<" + "x" * 900_000 + "> b", id="a tag of almost a megabyte"),
        pytest.param("a: !<%07%0a> b", id="a tag that cannot be printed"),
        pytest.param(
            json.dumps({key: "\n".join(f"a{i}: b" for i in range(9000)) for key in SHAPES}), id="YAML in every key"
        ),
        pytest.param(
            json.dumps({"koordnri-config": {"hooks": {"h" * 310 + str(i): {"g" * 310: 1} for i in range(900)}}}),
            id="long keys",
        ),
        pytest.param(json.dumps({"koordnri-config": {"hooks": {f"cpuse{i}": 1 for i in range(50_000)}}}), id="hooks"),
        pytest.param(json.dumps({"cpu-burst-config": {"nodeStrategies": [{}] * 250_000}}), id="strategies"),
        pytest.param(
            json.dumps({"system-config": {"totalNetworkBandwidth": "9" * 1_000_000}}), id="a quantity of a megabyte"
        ),
        pytest.param(
            json.dumps({"koordnri-config": {"reservedCPUs": "0" + " " * 1_000_000 + "x"}}), id="a long list of CPUs"
        ),
    ],
)
def test_nonsense_is_refused_cleanly_and_in_few_words(text):
    lines = mistakes(text)
    assert 0 < len(lines) <= 101
    assert max(map(len, lines)) < 1000
    assert all(line.isprintable() for line in lines)


def test_one_broken_key_refuses_all_of_the_document():
    data = {"cpu-burst-config": '{"policy": "auto"}', "system-config": '{"memcgReapBackGround": 1'}
    with pytest.raises(PolicyError) as refused:
        load_data(data, "test")
    [mistake] = refused.value.mistakes
    assert (mistake.path, mistake.message) == (
        "system-config",
        "broken JSON, line 1 column 26: expecting ',' delimiter",
    )


def test_a_key_that_is_removed_goes_back_to_its_defaults_and_the_others_stay():
    data = {"cpu-burst-config": '{"policy": "auto"}', "system-config": '{"memcgReapBackGround": 1}'}
    before, after = (load_data(d, "test") for d in (data, {"system-config": data["system-config"]}))
    assert before.revision != after.revision
    assert resolve(before, "", {}).burst.policy == "auto"
    assert resolve(after, "", {}).burst == DEFAULT_POLICY.burst
    assert resolve(after, "", {}).system.memcg_reap_back_ground == 1


def test_values_may_be_bytes_as_files_and_binary_data_have_them():
    assert resolve(load_data({"cpu-burst-config": b"\xef\xbb\xbfpolicy: auto"}, ""), "", {}).burst.policy == "auto"
    with pytest.raises(PolicyError) as refused:
        load_data({"cpu-burst-config": b"policy: \xff", "other": b"\xff"}, "")
    assert list(map(str, refused.value.mistakes)) == ["cpu-burst-config: expected UTF-8 text, byte 8 is 0xff"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "cpu-burst-config: {polici: auto}",
            [
                "cpu-burst-config: koord-manager ignores what stands outside of clusterStrategy, "
                '"polici" here; koordnri takes it as if in it',
                "cpu-burst-config.polici: unknown key, ignored; did you mean policy?",
            ],
        ),
        (
            "cpu-burst-config: {clusterStrategy: {qqqq: 1}}",
            ["cpu-burst-config.qqqq: unknown key, ignored (clusterStrategy)"],
        ),
        (
            "cpu-burst-config: {clusterStrategy: {}, policy: auto}",
            ["cpu-burst-config.policy: ignored, as it stands beside clusterStrategy and not in it"],
        ),
        ("cpu-brust-config: {}", ["cpu-brust-config: unknown key, ignored; did you mean cpu-burst-config?"]),
        ("zzz: {}", ["zzz: unknown key, ignored"]),
        (
            "colocation-config: anything at all",
            ["colocation-config: ignored, it belongs to Koordinator's manager; koordnri does not act on it"],
        ),
        (
            "resource-amplification-config: '{'",
            [
                "resource-amplification-config: ignored, it belongs to Koordinator's manager; koordnri does not act on it"
            ],
        ),
        (
            "koordnri-config: {hooks: {memroy: {mode: 'off'}}}",
            ["koordnri-config.hooks.memroy: none of koordnri's own has this name; did you mean memory?"],
        ),
        ("koordnri-config: {hooks: {com.example.numa: {mode: 'off'}}}", []),
    ],
)
def test_what_is_ignored_is_reported(text, expected):
    assert warnings(text) == expected


def test_revision_follows_the_content_and_not_the_form():
    same = [
        "cpu-burst-config: {policy: auto, cpuBurstPercent: 50}",
        'cpu-burst-config: \'{"cpuBurstPercent": 50, "policy": "auto"}\'',
        "kind: ConfigMap\nmetadata: {resourceVersion: '7'}\ndata:\n  cpu-burst-config: {policy: auto, cpuBurstPercent: 50}",
        "# comment\ncolocation-config: {enable: true}\ncpu-burst-config: {policy: auto, cpuBurstPercent: 50}",
    ]
    assert len({load_policy(text, "test").revision for text in same}) == 1
    other = load_policy("cpu-burst-config: {policy: auto, cpuBurstPercent: 51}", "test").revision
    assert other != load_policy(same[0], "test").revision
