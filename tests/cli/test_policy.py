"""`koordnri policy check`: what it reports and ends with."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from koordnri.cli import cli
from koordnri.policy import load_policy
from koordnri.policy.document import IGNORED

EXAMPLE = Path(__file__).parents[2] / "examples" / "policy.yaml"
GOOD = 'cpu-burst-config: {"clusterStrategy": {"policy": "cpuBurstOnly"}}'
BAD = """
cpu-burst-config: {cpuBurstPercent: 0}
koordnri-config: {hooks: {cpuset: {mode: of}}}
"""
MISTAKES = [
    "cpu-burst-config.cpuBurstPercent: expected 1..10000, got 0",
    'koordnri-config.hooks.cpuset.mode: expected enforce, observe or off, got "of"',
]


def check(*files: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["policy", "check", *map(str, files)], input=stdin)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_good_policies_are_named_and_end_with_0(tmp_path):
    good = written(tmp_path / "good.yaml", GOOD)
    done = check(EXAMPLE, good)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{EXAMPLE}: good, revision {load_policy(EXAMPLE.read_text(), '').revision}",
        f"{good}: good, revision {load_policy(GOOD, '').revision}",
    ]
    assert done.stderr == ""


def test_every_mistake_of_every_bad_policy_is_reported_with_file_and_path_and_the_end_is_2(tmp_path):
    bad = written(tmp_path / "bad.yaml", BAD)
    broken = written(tmp_path / "broken.yaml", "a: [")
    good = written(tmp_path / "good.yaml", GOOD)
    absent = tmp_path / "absent.yaml"
    done = check(bad, broken, absent, good)
    assert done.exit_code == 2
    lines = done.stdout.splitlines()
    assert lines[:3] == [f"{bad}: bad, the daemon would refuse it", *(f"{bad}: {mistake}" for mistake in MISTAKES)]
    assert lines[3] == f"{broken}: bad, the daemon would refuse it"
    assert lines[4].startswith(f"{broken}: broken YAML, line 1 column 5")
    assert lines[5:7] == [
        f"{absent}: bad, the daemon would refuse it",
        f"{absent}: cannot read {absent}: No such file or directory",
    ]
    assert lines[7].startswith(f"{good}: good")
    assert len(lines) == 8


def test_what_is_ignored_is_a_warning_beside_the_verdict(tmp_path):
    path = written(tmp_path / "p.yaml", GOOD + "\ncpu-burst-conf: {}\ncolocation-config: '{}'\n")
    done = check(path)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [f"{path}: good, revision {load_policy(GOOD, '').revision}"]
    assert done.stderr.splitlines() == [
        f"{path}: warning: cpu-burst-conf: unknown key, ignored; did you mean cpu-burst-config?",
        f"{path}: warning: colocation-config: ignored, it {IGNORED['colocation-config']}",
    ]


def test_a_directory_is_read_as_a_mounted_configmap(tmp_path):
    version = tmp_path / "..2026_01_01"
    version.mkdir()
    key = written(version / "cpu-burst-config", '{"clusterStrategy": {"policy": "cpuBurstOnly"}}')
    (tmp_path / "..data").symlink_to(version.name)
    (tmp_path / key.name).symlink_to(f"..data/{key.name}")
    done = check(tmp_path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}: good, revision {load_policy(GOOD, '').revision}\n"
    key.write_text('{"cpuBurstPercent": 0}')
    done = check(tmp_path)
    assert (done.exit_code, done.stdout.splitlines()[1]) == (2, f"{tmp_path}: {MISTAKES[0]}")


@pytest.mark.parametrize(
    ("text", "code", "second_line"),
    [
        (GOOD, 0, None),
        (BAD, 2, f"standard input: {MISTAKES[0]}"),
        (b"a: \xfe", 2, "standard input: expected UTF-8 text, byte 3 is 0xfe"),
        (
            "",
            2,
            "standard input: expected a ConfigMap, or a mapping of its keys such as resource-qos-config, got nothing",
        ),
    ],
)
def test_a_dash_is_standard_input(text, code, second_line):
    done = check("-", stdin=text)
    lines = done.stdout.splitlines()
    assert done.exit_code == code
    assert lines[0].startswith("standard input: bad, " if code else "standard input: good, revision ")
    assert lines[1:2] == ([second_line] if second_line else [])


@pytest.mark.parametrize(
    ("text", "warned"),
    [("{}", True), ("kind: ConfigMap", True), ("resource-qos-config:", True), ("resource-qos-config: '{}'", False)],
)
def test_a_policy_that_says_nothing_is_good_with_a_warning(text, warned):
    done = check("-", stdin=text)
    assert done.exit_code == 0
    assert ("it says nothing under resource-threshold-config, " in done.stderr) == warned


def test_a_directory_of_other_things_is_warned_about(tmp_path):
    written(tmp_path / "deployment.yaml", "kind: Deployment")
    done = check(tmp_path)
    assert "warning: deployment.yaml: unknown key, ignored" in done.stderr
    assert "so the defaults would hold" in done.stderr


def test_a_file_name_that_is_no_text_does_not_break_the_report(tmp_path):
    done = check(str(tmp_path) + "/\udcff", EXAMPLE)
    assert done.exit_code == 2
    assert f"{tmp_path}/\ufffd: cannot read {tmp_path}/\ufffd: No such file" in done.stdout
    assert f"{EXAMPLE}: good" in done.stdout


OVERLAPPING = """
cpu-burst-config: {nodeStrategies: [{name: a, nodeSelector: {matchLabels: {pool: x}}},
                                    {name: b, nodeSelector: {matchLabels: {zone: "1"}}}]}
koordnri-config: {reservedCPUs: 0-1}
"""


def test_with_a_node_the_strategies_that_hold_there_are_reported_and_what_stands_against_them_is_a_warning(tmp_path):
    policy = written(tmp_path / "p.yaml", OVERLAPPING)
    node = written(
        tmp_path / "n.yaml",
        "{name: n1, labels: {pool: x, zone: '1'}, topology: {coresPerNuma: 4}, sharePools: [{cpuset: '0-1'}]}",
    )
    done = check(policy, "--node", node)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{policy}: good, revision {load_policy(OVERLAPPING, '').revision}",
        f'{policy}: cpu-burst-config: on n1 holds the strategy "a"',
    ]
    assert done.stderr.splitlines() == [
        f'{policy}: warning: cpu-burst-config: nodeStrategies[0] "a" is taken, as it comes first; this node is matched by '
        'nodeStrategies[1] "b", too',
        f"{policy}: warning: reservedCPUs 0-1: the share pool of NUMA node 0 has no other CPUs and keeps 0-1",
    ]
    elsewhere = check(policy, "--node", written(tmp_path / "m.yaml", "labels: {zone: '1'}"))
    assert elsewhere.stdout.splitlines()[1:] == [f'{policy}: cpu-burst-config: on the node holds the strategy "b"']
    assert elsewhere.stderr == ""


def test_a_node_that_cannot_be_used_ends_the_check_before_a_verdict(tmp_path):
    node = written(tmp_path / "n.yaml", "nmae: n1")
    done = check(EXAMPLE, "--node", node)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"{node} cannot be used:"
    assert "did you mean name?" in done.stderr


def test_a_hidden_strategy_is_a_warning_and_no_mistake(tmp_path):
    policy = written(tmp_path / "p.yaml", OVERLAPPING.replace('zone: "1"', "pool: x, zone: '1'"))
    done = check(policy)
    assert (done.exit_code, len(done.stderr.splitlines())) == (0, 1)
    assert "warning: cpu-burst-config.nodeStrategies[1].nodeSelector: never taken, as nodeStrategies[0]" in done.stderr


def test_without_a_file_nothing_is_called_good():
    done = check()
    assert (done.exit_code, done.stdout) == (2, "")
    assert "FILE" in done.stderr
