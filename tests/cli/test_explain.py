"""`koordnri explain`: the shape it promises, vectors of Koordinator from manifest to value, and what it says about bad files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from koordnri.cli.explain import explain
from koordnri.model.resources import BASELINE_KEY
from tests.support.manifests import manifest

NODE: dict[str, Any] = {
    "memory": "64Gi",
    "topology": {"numaPerSocket": 2, "coresPerNuma": 8},
    "sharePools": [{"node": 0, "cpuset": "0-7"}, {"node": 1, "cpuset": "8-15"}],
}


class Files:
    """Writes the three files and runs the command on them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, content: Any) -> str:
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump_all(content))
        return str(path)

    def run(self, pods: Any, *options: str, policy: Any = None, node: Any = None) -> Result:
        command = ["-f", self.write("pods.yaml", pods), *options]
        if policy is not None:
            command += ["--policy", self.write("policy.yaml", policy)]
        if node is not None:
            command += ["--node", self.write("node.yaml", node)]
        return CliRunner().invoke(explain, command)

    def json(self, *pods: dict[str, Any], options: tuple[str, ...] = (), **files: Any) -> Any:
        done = self.run(list(pods), "-o", "json", *options, **files)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def qos(value: str) -> dict[str, str]:
    return {"koordinator.sh/qosClass": value}


def values(shape: dict[str, Any]) -> dict[str, Any]:
    return {name: field["value"] for name, field in shape["fields"].items()}


BATCH = {
    "node.koordinator.sh/extended-resource-spec": json.dumps(
        {
            "containers": {
                "main": {
                    kind: {"kubernetes.io/batch-cpu": "500", "kubernetes.io/batch-memory": "2Gi"}
                    for kind in ("requests", "limits")
                }
            }
        }
    )
}
PINNED = {"scheduling.koordinator.sh/resource-status": '{"cpuset":"2-4"}'}
KOORD = "koord-scheduler"
LISTED = f"schedulerName {KOORD} is listed"
ON_ITS_CPUS = {"cpu.cpus": "2-4", "cpu.quota": -1}
GPUS = {"scheduling.koordinator.sh/device-allocated": '{"gpu":[{"minor":0},{"minor":1}]}'}
RATIO = {"node.koordinator.sh/cpu-normalization-ratio": "1.2"}


def test_the_shape(files: Files) -> None:
    one = manifest(
        qos="LSR",
        annotations={**PINNED, "koordinator.sh/blkioQOS": "{"},
        limits={"cpu": "3", "memory": "1Gi"},
        schedulerName=KOORD,
    )
    policy = [{"koordnri-config": {"hooks": {"rdt": {"mode": "off"}}}}]
    shape = files.json(one, node=[NODE], policy=policy)
    errors = [e for e in shape.pop("errors") if e["container"]]
    assert shape == {
        "pod": {
            "namespace": "default",
            "name": "p",
            "qos": "LSR",
            "kubeQoS": "Guaranteed",
            "fields": {
                "cpu.cpus": {
                    "value": "2-4",
                    "hook": "cpuset",
                    "reason": "sandbox: assigned by the scheduler",
                    "route": "write",
                },
                "cpu.quota": {"value": -1, "hook": "cfs_quota", "reason": "pinned to exclusive CPUs", "route": "write"},
            },
            "observed": {},
        },
        "containers": [
            {
                "name": "main",
                "fields": {
                    "cpu.cpus": {
                        "value": "2-4",
                        "hook": "cpuset",
                        "reason": f"assigned by the scheduler; {LISTED}",
                        "route": "adjust",
                    },
                    "cpu.quota": {
                        "value": -1,
                        "hook": "cfs_quota",
                        "reason": "pinned to exclusive CPUs",
                        "route": "adjust",
                    },
                },
                "observed": {},
                "skipped": {"rdt": "switched off by the policy (koordnri-config.hooks.rdt.mode)"},
            }
        ],
        "trust": [
            {
                "rule": "resourceStatus",
                "what": "annotation scheduling.koordinator.sh/resource-status",
                "outcome": "believed",
                "why": LISTED,
            }
        ],
        "remarks": [],
    }
    ((error),) = errors
    assert error.keys() == {"hook", "container", "message"}
    assert (error["hook"], error["container"]) == ("blkio", "main")
    assert "koordinator.sh/blkioQOS" in error["message"]
    assert "line 1 column 2" in error["message"]


@pytest.mark.parametrize(
    ("number", "manifest", "node", "of_container", "of_pod"),
    [
        (
            5,
            manifest(qos="BE", annotations=BATCH),
            NODE,
            {"cpu.shares": 2, "cpu.quota": 50_000, "memory.limit": 2 << 30},
            {"cpu.shares": 2, "cpu.quota": 50_000, "memory.limit": 2 << 30},
        ),
        (
            14,
            manifest(qos="LS", limits={"cpu": "1"}),
            {"annotations": RATIO},
            {"cpu.quota": 83_334},
            {"cpu.quota": 83_334},
        ),
        (
            17,
            manifest(qos="LSR", annotations=PINNED, limits={"cpu": "3"}, schedulerName=KOORD),
            NODE,
            ON_ITS_CPUS,
            ON_ITS_CPUS,
        ),
        (17, manifest(annotations=PINNED, limits={"cpu": "3"}, schedulerName=KOORD), NODE, ON_ITS_CPUS, ON_ITS_CPUS),
        (21, manifest(qos="LS", limits={"cpu": "1"}), NODE, {"cpu.cpus": "0-7,8-15"}, {"cpu.cpus": "0-7,8-15"}),
        (30, manifest(annotations=GPUS), {}, {"env[NVIDIA_VISIBLE_DEVICES]": "0,1"}, {}),
    ],
)
def test_vectors(
    files: Files,
    number: int,
    manifest: dict[str, Any],
    node: dict[str, Any],
    of_container: dict[str, Any],
    of_pod: dict[str, Any],
) -> None:
    shape = files.json(manifest, node=[node])
    assert values(shape["containers"][0]) == of_container
    assert values(shape["pod"]) == of_pod
    assert shape["errors"] == []


def test_requests_come_from_the_manifest(files: Files) -> None:
    policy = [{"resource-qos-config": {"lsClass": {"memoryQOS": {"enable": True, "minLimitPercent": 50}}}}]
    main = {"name": "main", "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}}
    shape = files.json(manifest(qos="LS", containers=[main]), policy=policy)
    assert shape["containers"][0]["fields"]["memory.min"]["value"] == 512 << 20


def test_a_mount_is_an_object(files: Files) -> None:
    share = {"koordinator.sh/gpu-memory-ratio": "50", "koordinator.sh/gpu-memory": "8Gi"}
    allocated = json.dumps({"gpu": [{"minor": 0, "resources": share}]})
    shape = files.json(
        manifest(
            labels={"koordinator.sh/gpu-isolation-provider": "HAMi-core"},
            annotations={"scheduling.koordinator.sh/device-allocated": allocated},
        )
    )
    assert shape["containers"][0]["fields"]["mount[/tmp/vgpulock]"]["value"] == {
        "source": "/tmp/vgpulock",
        "type": "bind",
        "options": ["rbind"],
    }


EIGHT = {"topology": {"coresPerNuma": 8}}


def cpus(shapes: list[dict[str, Any]]) -> dict[str, Any]:
    of_all = {shape["pod"]["name"]: values(shape["containers"][0]) for shape in shapes}
    return {name: found.get("cpu.cpus") for name, found in of_all.items()}


def test_exclusive_cpus_are_given_in_the_order_of_the_file_and_all_others_share_what_is_left(files: Files) -> None:
    pods = [
        manifest("early", qos="LS", limits={"cpu": "1"}),
        manifest("b", qos="LSR", limits={"cpu": "2", "memory": "1Gi"}),
        manifest("a", qos="LSR", limits={"cpu": "2", "memory": "1Gi"}),
        manifest("free"),
    ]
    shapes = files.json(*pods, node=[EIGHT])
    assert cpus(shapes) == {"early": "4-7", "b": "0-1", "a": "2-3", "free": None}
    own = shapes[1]["containers"][0]["fields"]["cpu.cpus"]
    assert (own["hook"], own["reason"], own["route"]) == ("cpuset", "exclusive CPUs, given by this node", "adjust")
    assert values(shapes[1]["pod"]) == {"cpu.quota": -1, "cpu.cpus": "4-7"}, "its sandbox shares"
    assert cpus(files.json(*pods[::-1], node=[EIGHT])) == {"early": "4-7", "b": "2-3", "a": "0-1", "free": None}


def test_pools_of_a_node_resource_topology_are_described_as_share_pools_and_nobody_gets_cpus(files: Files) -> None:
    pools = [{"socket": 0, "node": 0, "cpuset": "0-3,8-11"}, {"socket": 0, "node": 1, "cpuset": "4-7,12-15"}]
    machine = {"topology": {"numaPerSocket": 2, "coresPerNuma": 4, "threadsPerCore": 2}, "sharePools": pools}
    shape = files.json(manifest(qos="LSR", limits={"cpu": "4", "memory": "1Gi"}), node=[machine])
    cpus = shape["containers"][0]["fields"]["cpu.cpus"]
    assert (cpus["value"], cpus["reason"]) == (
        "0-3,8-11,4-7,12-15",
        "share pools of the node; no exclusive CPUs: Koordinator publishes share pools of this node, so koord-scheduler assigns CPUs",
    )


def test_a_pod_that_is_not_shown_has_its_cpus_all_the_same(files: Files) -> None:
    first = manifest("a", qos="LSR", containers=[{"name": "other", "resources": {"limits": {"cpu": "2"}}}])
    shape = files.json(
        first, manifest("b", qos="LSR", limits={"cpu": "2"}), node=[EIGHT], options=("--container", "main")
    )
    assert cpus(shape) == {"b": "2-3"}


@pytest.mark.parametrize(("event", "given"), [("create", "0-1"), ("update", "0-1"), ("sync", None)])
def test_who_runs_already_as_koordnri_starts_is_given_no_cpus(files: Files, event: str, given: str | None) -> None:
    shape = files.json(manifest(qos="LSR", limits={"cpu": "2"}), node=[EIGHT], options=("--event", event))
    assert values(shape["containers"][0]).get("cpu.cpus") == given


def test_cpus_from_a_dra_driver_are_left_to_it_and_nobody_elses(files: Files) -> None:
    claimed = {"name": "main", "env": [{"name": "DRA_CPUSET_claim", "value": "0-1"}]}
    dra, own = manifest("dra", containers=[claimed]), manifest("own", qos="LSR", limits={"cpu": "2"})
    dra["spec"]["resourceClaims"] = [{"name": "claim", "resourceClaimName": "c"}]
    believed = {"koordnri-config": {"clusterStrategy": {"trust": {"withoutSpec": "believe"}}}}
    assert cpus(files.json(dra, own, node=[EIGHT], policy=[believed])) == {"dra": None, "own": "2-3"}
    shapes = files.json(dra, own, node=[EIGHT])
    assert cpus(shapes)["own"] == "0-1"
    [verdict] = shapes[0]["trust"]
    assert (verdict["rule"], verdict["outcome"]) == ("draDrivers", "unknown"), (
        "a file does not say what its claims were given"
    )


def test_a_pod_without_claims_is_not_believed_to_have_cpus_from_a_dra_driver(files: Files) -> None:
    claimed = {"name": "main", "env": [{"name": "DRA_CPUSET_claim", "value": "0-1"}]}
    shapes = files.json(
        manifest("dra", qos="LS", containers=[claimed]), manifest("own", qos="LSR", limits={"cpu": "2"}), node=[EIGHT]
    )
    assert cpus(shapes) == {"dra": "2-7", "own": "0-1"}
    [verdict] = shapes[0]["trust"]
    assert verdict["outcome"] == "refused"
    assert verdict["why"].startswith("the pod has no resourceClaims")


def test_trust_rules_select_by_the_labels_of_namespaces_in_the_file(files: Files) -> None:
    selector = {"namespaceSelector": {"matchLabels": {"team": "hpc"}}}
    policy = {"koordnri-config": {"clusterStrategy": {"trust": {"resctrl": selector}}}}
    wish = {"node.koordinator.sh/resctrl": '{"llc": {"schemata": {"range": [0, 100]}}}'}

    def outcome(*namespaces: dict[str, Any]) -> str:
        verdict = files.json(manifest(namespace="shop", annotations=wish), *namespaces, policy=[policy])["trust"][0]
        assert verdict["rule"] == "resctrl"
        return str(verdict["outcome"])

    def namespace(**labels: str) -> dict[str, Any]:
        return {"kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}

    assert outcome(namespace(team="hpc")) == "believed"
    assert outcome(namespace(team="web")) == "refused"
    assert outcome() == "unknown"


def test_that_no_cpus_are_left_for_all_is_reported(files: Files) -> None:
    none_stays = {"koordnri-config": {"hooks": {"cpuset": {"minSharedCPUs": 0}}}}
    done = files.run([manifest(qos="LSR", limits={"cpu": "8"})], node=[EIGHT], policy=[none_stays])
    assert done.exit_code == 0
    assert (
        "node.yaml: the share pool of LS would be empty, since all CPUs are taken; it falls back to 0-7" in done.stderr
    )


@pytest.mark.parametrize(("event", "route"), [("create", "adjust"), ("update", "reply"), ("sync", "reply")])
def test_the_event_decides_the_route(files: Files, event: str, route: str) -> None:
    shape = files.json(
        manifest(qos="LS", annotations=GPUS, limits={"cpu": "1"}), options=("--event", event), node=[NODE]
    )
    (container,) = shape["containers"]
    assert container["fields"]["cpu.cpus"]["route"] == route
    assert ("env[NVIDIA_VISIBLE_DEVICES]" in container["fields"]) is (event == "create")
    assert ("env[NVIDIA_VISIBLE_DEVICES]" in container["skipped"]) is (event != "create")


def test_an_error_of_the_pods_own_fields_has_no_container(files: Files) -> None:
    shape = files.json(manifest(qos="BE", annotations={"node.koordinator.sh/extended-resource-spec": "{"}))
    assert {(e["hook"], e["container"]) for e in shape["errors"]} == {
        (hook, container) for hook in ("cfs_quota", "memory") for container in (None, "main")
    }


def test_a_refused_container_gets_nothing(files: Files) -> None:
    """failurePolicy fail: the runtime is asked to refuse the container, so there are no fields to speak of."""
    policy = [{"koordnri-config": {"hooks": {"gpu": {"failurePolicy": "fail"}}}}]
    bad = {**GPUS, "scheduling.koordinator.sh/device-allocated": "["}
    shape = files.json(manifest(qos="LS", annotations=bad, limits={"cpu": "1"}), policy=policy, node=[NODE])
    (container,) = shape["containers"]
    assert container["fields"] == {}
    (error,) = shape["errors"]
    assert error["message"].endswith("the policy says koordnri-config.hooks.gpu.failurePolicy: fail")
    assert container["skipped"]["gpu"] == error["message"]


def test_the_owner_cannot_pass_a_baseline_off_as_ours(files: Files) -> None:
    shape = files.json(
        manifest(qos="LS", annotations={BASELINE_KEY: '{"asked":{"quota":1000}}'}, limits={"cpu": "1"}),
        node=[{"annotations": RATIO}],
        options=("--event", "update"),
    )
    assert shape["containers"][0]["fields"]["cpu.quota"]["value"] == 83_334


def test_several_pods_are_a_list(files: Files) -> None:
    shapes = files.json(manifest("a"), manifest("b"))
    assert [s["pod"]["name"] for s in shapes] == ["a", "b"]


def test_init_containers_come_first(files: Files) -> None:
    one = manifest("a")
    one["spec"]["initContainers"] = [{"name": "setup"}]
    assert [c["name"] for c in files.json(one)["containers"]] == ["setup", "main"]


def test_one_container(files: Files) -> None:
    one = manifest(containers=[{"name": "a"}, {"name": "b"}])
    shape = files.json(one, options=("--container", "b"))
    assert [c["name"] for c in shape["containers"]] == ["b"]


def test_no_such_container(files: Files) -> None:
    done = files.run([manifest(containers=[{"name": "a"}, {"name": "b"}])], "--container", "c")
    assert done.exit_code == 2
    assert done.stderr == "--container: no container is named c; there are default/p: a, b\n"


def test_yaml_says_the_same(files: Files) -> None:
    one = manifest(qos="LSR", annotations=PINNED, limits={"cpu": "3"}, schedulerName=KOORD)
    done = files.run([one], "-o", "yaml", node=[NODE])
    assert done.exit_code == 0
    assert yaml.safe_load(done.stdout) == files.json(one, node=[NODE])


OBSERVED = [{"koordnri-config": {"hooks": {"cfs_quota": {"mode": "observe"}}}}]


def test_what_a_hook_would_set_that_is_only_observed_is_shown_and_not_among_the_fields(files: Files) -> None:
    one = manifest(qos="LS", limits={"cpu": "1"})
    shape = files.json(one, node=[{"annotations": RATIO}], policy=OBSERVED)
    would = {
        "cpu.quota": {
            "value": 83_334,
            "hook": "cfs_quota",
            "reason": "normalised by the node's CPU ratio",
            "route": "observe",
        }
    }
    for of in shape["pod"], shape["containers"][0]:
        assert "cpu.quota" not in of["fields"]
        assert of["observed"] == would


def test_what_is_only_observed_stands_in_the_table_with_its_route(files: Files) -> None:
    done = files.run([manifest(qos="LS", limits={"cpu": "1"})], node=[{"annotations": RATIO}], policy=OBSERVED)
    row = ["cpu.quota", "83334", "cfs_quota", "normalised by the node's CPU ratio", "observe"]
    rows = table_rows(done)
    assert [r[0] for r in rows if r[1:] == row] == ["(pod)", "main"]
    assert "nothing to set" not in done.stdout


def test_a_refused_container_has_nothing_to_observe_either(files: Files) -> None:
    hooks = {"cfs_quota": {"mode": "observe"}, "gpu": {"failurePolicy": "fail"}}
    bad = {**GPUS, "scheduling.koordinator.sh/device-allocated": "["}
    policy = [{"koordnri-config": {"hooks": hooks}}]
    shape = files.json(
        manifest(qos="LS", annotations=bad, limits={"cpu": "1"}), policy=policy, node=[{"annotations": RATIO}]
    )
    (container,) = shape["containers"]
    assert (container["fields"], container["observed"]) == ({}, {})


def table_rows(done: Result) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]


def test_the_table_has_value_hook_and_reason(files: Files) -> None:
    done = files.run(
        [
            manifest(
                qos="LSR",
                annotations={**PINNED, "koordinator.sh/blkioQOS": "{"},
                limits={"cpu": "3"},
                schedulerName=KOORD,
            )
        ],
        node=[NODE],
    )
    assert done.exit_code == 0
    assert ["main", "cpu.cpus", "2-4", "cpuset", f"assigned by the scheduler; {LISTED}", "adjust"] in table_rows(done)
    assert "default/p  LSR, Burstable" in done.stdout
    assert "error blkio, container main: annotation koordinator.sh/blkioQOS" in done.stdout


def protected(percent: int) -> list[dict[str, Any]]:
    return [{"resource-qos-config": {"lsClass": {"memoryQOS": {"enable": True, "minLimitPercent": percent}}}}]


def test_the_tables_end_with_what_the_pods_come_to_in_their_classes(files: Files) -> None:
    main = {"name": "main", "resources": {"requests": {"memory": "1Gi"}}}
    pods = [manifest(name, containers=[main]) for name in "ab"]
    done = files.run(pods, policy=protected(50))
    rows = table_rows(done)
    whole = ["memory.min", f"{1 << 30} (1 GiB)", "memory"]
    found = [(row[0], row[1:4], row[-1]) for row in rows if row[0].startswith("QoS class") and row[1] == "memory.min"]
    assert found == [
        ("QoS class Guaranteed (all pods)", whole, "write"),
        ("QoS class Burstable", whole, "write"),
    ]
    assert "QoS classes, were these all pods of the node" in done.stdout
    assert "memory.min" not in files.run(pods, policy=protected(0)).stdout


def test_the_tables_show_what_applications_outside_of_pods_get(files: Files) -> None:
    policy = {
        "host-application-config": {"applications": [{"name": "job", "qos": "BE"}]},
        "resource-qos-config": {"beClass": {"cpuQOS": {"enable": True, "schedIdle": 1}}},
    }
    rows = table_rows(files.run([manifest()], policy=[policy]))
    assert ["host application job", "cpu.idle", "1", "cfs_quota", "schedIdle of beClass", "write"] in rows


def test_text_of_a_pod_is_no_markup(files: Files) -> None:
    done = files.run([manifest(annotations={"scheduling.koordinator.sh/device-allocated": "[red]{"})])
    assert "[red]{" in done.stdout


def test_text_of_a_pod_does_not_steer_the_terminal(files: Files) -> None:
    done = files.run([manifest(annotations={"scheduling.koordinator.sh/device-allocated": "\x1b[2J"})])
    assert "\x1b" not in done.stdout
    assert "\\x1b[2J" in done.stdout


BAD_POLICY = [{"resource-qos-config": {"beClass": {"memoryQOS": {"minLimitPercent": 250}}}}]


@pytest.mark.parametrize(
    ("pods", "policy", "node", "expected"),
    [
        (
            [manifest()],
            BAD_POLICY,
            None,
            "policy.yaml cannot be used:\nresource-qos-config.beClass.memoryQOS.minLimitPercent: expected 0..100, got 250\n",
        ),
        (
            [manifest()],
            None,
            [{"topology": {"sockets": "two"}}],
            'node.yaml cannot be used:\ntopology.sockets: expected an integer at least 1, got "two"\n',
        ),
        (
            [manifest(limits={"cpu": "2x"})],
            None,
            None,
            "pods.yaml cannot be used:\nspec.containers[0].resources.limits.cpu: "
            'expected a quantity such as 500m, 2 or 1Gi, got "2x"\n',
        ),
        (
            "a: b: c",
            None,
            None,
            "pods.yaml cannot be used:\nbroken YAML, line 1 column 5: mapping values are not allowed in this context\n",
        ),
        (
            [{"kind": "Service"}],
            None,
            None,
            "pods.yaml cannot be used:\nexpected a manifest of a Pod or of a workload, found none "
            "(Service is passed over, it makes no pods)\n",
        ),
        (
            [manifest(limits={"cpu": "2x"})],
            BAD_POLICY,
            [{"x": 1, "memory": "y"}],
            "policy.yaml cannot be used:\nresource-qos-config.beClass.memoryQOS.minLimitPercent: expected 0..100, got 250\n"
            'node.yaml cannot be used:\nmemory: expected a quantity such as 10M or 1Gi, got "y"\n'
            "x: unknown key, expected one of name, labels, annotations, memory, pageSize, "
            "cpuModel, turbo, topology, cpus, isolatedCPUs, offlineCPUs, podsCPUs, cgroup, kubelet, resctrl, sharePools, "
            "beSharePools, blockDevices\n"
            "pods.yaml cannot be used:\nspec.containers[0].resources.limits.cpu: "
            'expected a quantity such as 500m, 2 or 1Gi, got "2x"\n',
        ),
    ],
)
def test_bad_files(files: Files, pods: Any, policy: Any, node: Any, expected: str) -> None:
    done = files.run(pods, policy=policy, node=node)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.replace(f"{files.directory}/", "") == expected


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = CliRunner().invoke(explain, ["-f", str(tmp_path / "pods.yaml")])
    assert done.exit_code == 2
    assert done.stderr == f"{tmp_path}/pods.yaml cannot be used:\ncannot be read: No such file or directory\n"


def test_what_is_only_odd_goes_to_stderr(files: Files) -> None:
    done = files.run(
        [manifest(), {"kind": "Service"}],
        policy=[{"resource-qos-confg": {}, "cpu-normalization-config": {"enable": False}}],
        node=[{"annotations": {"node.koordinator.sh/cpu-normalization-ratio": "0"}}],
    )
    assert done.exit_code == 0
    assert done.stderr.replace(f"{files.directory}/", "") == (
        "policy.yaml: resource-qos-confg: unknown key, ignored; did you mean resource-qos-config?\n"
        "node.yaml: annotation node.koordinator.sh/cpu-normalization-ratio: expected a number above 0 such as 1.20, "
        'got "0"\n'
        "pods.yaml: document 2: Service is passed over, it makes no pods\n"
    )


RESERVED = {"koordnri-config": {"reservedCPUs": "0-7,99"}}
OVERLAPPING = [{"nodeSelector": {"matchLabels": {"pool": "a"}}, "name": name} for name in ("first", "second")]


def test_what_a_policy_comes_to_on_this_node_goes_to_stderr(files: Files) -> None:
    policy = [{**RESERVED, "cpu-burst-config": {"nodeStrategies": OVERLAPPING}}]
    done = files.run([manifest()], policy=policy, node=[{**NODE, "labels": {"pool": "a"}}])
    assert done.exit_code == 0
    reported = done.stderr.replace(f"{files.directory}/", "").splitlines()
    assert sorted(line.split(":")[0] for line in reported) == ["policy.yaml"] * len(reported)
    assert sum("99 are not online" in line for line in reported) == 1
    assert sum("the share pool of NUMA node 0 has no other CPUs" in line for line in reported) == 1
    assert sum("cpu-burst-config" in line and "second" in line for line in reported) == 1


def test_pods_on_standard_input() -> None:
    done = CliRunner().invoke(explain, ["-f", "-", "-o", "json"], input=yaml.safe_dump(manifest("piped")))
    assert json.loads(done.stdout)["pod"]["name"] == "piped"


def test_strategies_for_the_node_count(files: Files) -> None:
    policy = [
        {
            "resource-qos-config": {
                "nodeStrategies": [
                    {
                        "name": "mine",
                        "nodeSelector": {"matchLabels": {"pool": "a"}},
                        "lsClass": {"memoryQOS": {"enable": True, "minLimitPercent": 50}},
                    }
                ]
            }
        }
    ]
    one = manifest(qos="LS", limits={"cpu": "1", "memory": "1Gi"})
    for labels, expected in (({"pool": "a"}, True), ({"pool": "b"}, False)):
        shape = files.json(one, policy=policy, node=[{"labels": labels}])
        assert ("memory.min" in shape["containers"][0]["fields"]) is expected
