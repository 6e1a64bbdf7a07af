"""`koordnri diff`: on files, and asking the running daemon over its real socket."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from koordnri.cli import cli, control
from koordnri.observe.control import ControlServer
from tests.observe.controlled import Controlled
from tests.reconcile.fake_node import busy_node
from tests.support.manifests import manifest

EXAMPLES = Path(__file__).parents[2] / "examples"
HALVED = 'cpu-normalization-config: {"enable": true, "defaultRatio": 2.0}\n'
THIRD = HALVED.replace("2.0", "3.0")
BE_GROUP = "resource-qos-config: {clusterStrategy: {beClass: {resctrlQOS: {enable: true}}}}\n"
BAD = "cpu-burst-config: {cpuBurstPercent: 0}\nkoordnri-config: {hooks: {cpuset: {mode: of}}}\n"
MISTAKES = [
    "cpu-burst-config.cpuBurstPercent: expected 1..10000, got 0",
    'koordnri-config.hooks.cpuset.mode: expected enforce, observe or off, got "of"',
]


def limited(name: str = "web", cpu: str = "1", **labels: str) -> dict[str, Any]:
    """Without `cpu`, one without requests and limits."""
    amounts = {"requests": {"cpu": "100m"}, "limits": {"cpu": cpu, "memory": "64Mi"}} if cpu else {}
    return manifest(name, namespace="shop", labels=labels, **amounts)


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["diff", *map(str, arguments)], input=stdin)


class Files:
    """Writes files and runs the command on them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, content: str | list[Any]) -> Path:
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump_all(content))
        return path

    def diff(self, new: str, *options: object, pods: list[Any] | None = None, against: str | None = None) -> Result:
        given: list[object] = ["--policy", self.write("new.yaml", new)]
        if against is not None:
            given += ["--against", self.write("old.yaml", against)]
        if pods is not None:
            given += ["-f", self.write("pods.yaml", pods)]
        return run(*given, *options)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def moves(done: Result) -> dict[tuple[str, str | None, str], tuple[Any, Any]]:
    found = json.loads(done.stdout)["differences"]
    return {(d["pod"], d["container"], d["field"]): (d["before"], d["after"]) for d in found}


# -- files ------------------------------------------------------------------------------------------------------------


def test_trust_rules_select_by_the_labels_of_namespaces_in_the_files(files):
    pinned = manifest(
        "web", namespace="shop", annotations={"scheduling.koordinator.sh/resource-status": '{"cpuset": "2"}'}
    )
    pinned["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    selector = {"namespaceSelector": {"matchLabels": {"team": "hpc"}}}
    new = json.dumps({"koordnri-config": {"clusterStrategy": {"trust": {"resourceStatus": selector}}}})

    def cpus(**labels: str) -> Any:
        namespace = {"kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}
        return moves(files.diff(new, "-o", "json", pods=[pinned, namespace])).get(("web", "main", "cpu.cpus"))

    assert cpus(team="hpc") == ("", "2")
    assert cpus(team="web") is None


def test_without_an_old_policy_koordnris_defaults_are_what_is_compared_with(files):
    done = files.diff(HALVED, "-o", "json", pods=[limited(), limited("free", cpu="")])
    assert done.exit_code == 1
    assert moves(done) == {
        ("web", None, "cpu.quota"): (100_000, 50_000),
        ("web", "main", "cpu.quota"): (100_000, 50_000),
    }
    shape = json.loads(done.stdout)
    assert (shape["old"], shape["pods"], shape["containers"], shape["remarks"]) == ("default", 2, 2, [])


def test_two_policies(files):
    done = files.diff(THIRD, "-o", "json", pods=[limited(cpu="3")], against=HALVED)
    assert done.exit_code == 1
    assert set(moves(done).values()) == {(150_000, 100_000)}


def test_no_differences_end_with_0(files):
    done = files.diff(HALVED, pods=[limited()], against=f"# the same\n{HALVED}")
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    assert line.endswith(": nothing changes in 1 pod with 1 container")
    assert json.loads(files.diff(HALVED, "-o", "json", pods=[limited()], against=HALVED).stdout)["differences"] == []


def test_the_table_names_each_change_with_its_route_and_sums_up(files):
    node = files.write("node.yaml", "resctrl: {vendor: intel, cbmMask: 'ff', numClosids: 4, cacheIDs: [0]}")
    be = {"koordinator.sh/qosClass": "BE"}
    done = files.diff(HALVED + BE_GROUP, "--node", node, pods=[limited(), limited("job", cpu="", **be)])
    assert done.exit_code == 1
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    normalised = "normalised by the node's CPU ratio"
    assert rows == [
        ["shop/web", "(pod)", "cpu.quota", "100000", "50000", "write", normalised],
        ["", "main", "cpu.quota", "100000", "50000", "write + record", normalised],
        ["shop/job", "main", "rdt.closid", "none of ours", "BE", "resctrl", "resctrl group of the class"],
        ["resctrl group BE", "", "schemata[L3]", "none of ours", "0=7", "resctrl", "resctrlQOS of BE"],
        ["", "", "schemata[MB]", "none of ours", "0=100", "resctrl", "resctrlQOS of BE"],
    ]
    assert done.stdout.splitlines()[-1].endswith(
        ": 5 fields of 2 containers in 2 pods and 1 resctrl group would change; compared were 2 pods with 2 containers"
    )


def test_what_is_protected_of_a_pod_is_protected_of_its_class_and_of_all_pods(files):
    policy = "resource-qos-config: {lsClass: {memoryQOS: {enable: true, minLimitPercent: 50}}}\n"
    protected = limited(cpu="")
    protected["spec"]["containers"][0]["resources"] = {"requests": {"memory": "64Mi"}}
    done = files.diff(policy, "-o", "json", pods=[protected])
    found = [d for d in json.loads(done.stdout)["differences"] if d["field"] == "memory.min" and d["class"]]
    half = 32 << 20
    assert {(d["class"], d["namespace"], d["pod"], d["container"], d["before"], d["after"]) for d in found} == {
        ("Guaranteed", "", "", None, 0, half),
        ("Burstable", "", "", None, 0, half),
    }
    table = files.diff(policy, pods=[protected])
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.stdout.splitlines() if "│" in line]
    burstable = next(row for row in rows if row[0] == "QoS class Burstable")
    assert burstable[1:6] == ["", "memory.min", "0", f"{half} (32 MiB)", "write"]
    assert any(row[0].startswith("QoS class Guaranteed (all") for row in rows)
    assert " in 1 pod and 2 QoS classes would change;" in table.stdout


def test_text_of_a_pod_cannot_steer_the_terminal_nor_style_the_table(files):
    strange = limited()
    strange["metadata"]["annotations"] = {"koordinator.sh/memoryQOS": "\x1b[2J[red]"}
    done = files.diff(HALVED, pods=[strange])
    assert "\x1b" not in done.stdout
    assert "[red]" in done.stdout  # in the remark, as it is written


def test_a_hook_that_cannot_decide_is_reported_once(files):
    broken = limited()
    broken["metadata"]["annotations"] = {"koordinator.sh/memoryQOS": "{"}
    done = files.diff(HALVED, "-o", "json", pods=[broken])
    remarks = [(r["container"], r["hook"]) for r in json.loads(done.stdout)["remarks"]]
    assert remarks == [(None, "memory"), ("main", "memory")]
    lines = files.diff(HALVED, pods=[broken]).stdout.splitlines()
    assert (
        sum(line.startswith("remark: hook memory, shop/web, (pod): annotation koordinator.sh/memory") for line in lines)
        == 1
    )


def test_pods_of_several_files_and_of_standard_input(files):
    first, second = files.write("a.yaml", [limited("a")]), files.write("b.yaml", [limited("b")])
    new = files.write("new.yaml", HALVED)
    done = run("--policy", new, "-f", first, "-f", second, "-f", "-", "-o", "json", stdin=yaml.safe_dump(limited("c")))
    assert {name for name, _, _ in moves(done)} == {"a", "b", "c"}


def test_a_pod_that_is_in_two_files_is_a_mistake(files):
    first, second = files.write("a.yaml", [limited()]), files.write("b.yaml", [limited()])
    done = run("--policy", files.write("new.yaml", HALVED), "-f", first, "-f", second)
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        f"{second} cannot be used:",
        f"a second pod shop/web; the first is in {first}",
    ]


def test_a_policy_on_standard_input(files):
    pods = files.write("pods.yaml", [limited()])
    done = run("--policy", "-", "-f", pods, "-o", "json", stdin=HALVED)
    assert len(moves(done)) == 2


def test_a_mounted_policy_of_a_directory(files):
    mounted = files.directory / "policy"
    mounted.mkdir()
    (mounted / "cpu-normalization-config").write_text("enable: true\ndefaultRatio: 2.0\n")
    done = run("--policy", mounted, "-f", files.write("pods.yaml", [limited()]), "-o", "json")
    assert len(moves(done)) == 2


def test_a_directory_that_is_no_policy_is_reported(files):
    (files.directory / "other").mkdir()
    done = run("--policy", files.directory / "other", "-f", files.write("pods.yaml", [limited()]))
    assert done.exit_code == 0
    assert f"{files.directory}/other: it says nothing under resource-threshold-config, " in done.stderr


def test_a_policy_without_end_is_not_read_to_it(files):
    done = run("--policy", "-", "-f", files.write("pods.yaml", [limited()]), stdin="#" * (9 << 20))
    assert done.exit_code == 2
    assert "expected at most 1048576 characters" in done.stderr


@pytest.mark.parametrize("live", [False, True])
def test_bad_files_end_with_2_and_every_mistake_of_all_of_them(files, live):
    options = ["--live"] if live else ["-f", files.write("pods.yaml", [{"kind": "Pod"}]), "--node", "/absent"]
    done = files.diff(BAD, *options, against="[")
    assert (done.exit_code, done.stdout) == (2, "")
    reported = done.stderr.splitlines()
    for mistake in MISTAKES:
        assert mistake in reported
    named = {line.removesuffix(" cannot be used:") for line in reported if line.endswith(" cannot be used:")}
    others = set() if live else {str(files.directory / "pods.yaml"), "/absent"}
    assert named == {str(files.directory / "new.yaml"), str(files.directory / "old.yaml")} | others


def test_warnings_are_reported_beside_the_differences(files):
    done = files.diff("colocation-config: {}\n", pods=[limited()])
    assert done.exit_code == 0
    assert "new.yaml: colocation-config: ignored, it belongs to Koordinator's manager" in done.stderr


def reserving(cpus: str) -> str:
    return f"koordnri-config: {{reservedCPUs: '{cpus}'}}\n"


def test_what_a_policy_comes_to_on_this_node_is_reported_beside_the_differences(files):
    node = files.write("node.yaml", "topology: {coresPerNuma: 4}\n")
    done = files.diff(reserving("98"), "--node", node, "-o", "json", pods=[limited()], against=reserving("99"))
    (note,) = json.loads(done.stdout)["notes"]
    assert "98 are not online" in note
    reported = done.stderr.replace(f"{files.directory}/", "").splitlines()
    assert len(reported) == 2
    assert f"new.yaml: {note}" in reported
    assert any(line.startswith("old.yaml: ") and "99 are not online" in line for line in reported)


def placed(name: str, node: str, phase: str = "Running") -> dict[str, Any]:
    one = limited(name)
    one["spec"]["nodeName"], one["status"] = node, {"phase": phase}
    return one


def test_pods_that_have_ended_or_are_on_other_nodes_are_passed_over(files):
    pods = [placed("a", "one"), placed("b", "two"), placed("c", "one", "Succeeded"), limited("d")]
    node = files.write("node.yaml", "name: one\n")
    done = files.diff(HALVED, "--node", node, "-o", "json", pods=pods)
    assert {name for name, _, _ in moves(done)} == {"a", "d"}
    assert done.stderr.endswith("pods.yaml: 2 of 4 pods have ended, or are not on one: passed over\n")

    done = files.diff(HALVED, "-o", "json", pods=pods)
    assert {name for name, _, _ in moves(done)} == {"a", "b", "d"}
    first, second = done.stderr.splitlines()
    assert first.endswith("pods.yaml: 1 of 4 pods have ended: passed over")
    assert second.startswith("the pods are on 2 nodes, and compared as if they were on one")
    assert files.diff(HALVED, "-o", "json", pods=pods[:1]).stderr == ""


def test_exclusive_cpus_are_those_that_the_old_policy_gave_in_the_order_of_the_files(files):
    node = files.write("node.yaml", "topology: {coresPerNuma: 8}\n")
    pods = [
        limited(name, "2", **{"koordinator.sh/qosClass": qos})
        for name, qos in (("s", "LS"), ("a", "LSR"), ("b", "LSE"))
    ]
    for one in pods[1:]:
        one["spec"]["containers"][0]["resources"].pop("requests")
    none = "koordnri-config: {hooks: {cpuset: {allocate: false}}}\n"

    done = files.diff(none, "--node", node, "-o", "json", pods=pods)
    assert moves(done)["a", "main", "cpu.cpus"] == ("0-1", "0-7")
    assert moves(done)["b", "main", "cpu.cpus"] == ("2-3", "0-7")
    assert {d["route"] for d in json.loads(done.stdout)["differences"]} == {"restart"}
    assert {name for name, _, _ in moves(done)} == {"a", "b"}, "the CPUs are not free before"

    done = files.diff(reserving("0"), "--node", node, pods=pods)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert ["shop/a", "main", "cpu.cpus", "0-1", "1,4", "restart"] in [row[:6] for row in rows]
    assert all(row[0] in ("", "shop/a") for row in rows), "who keeps what he has is not reported"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "expected either -f with the pods that run, or --live"),
        (["--live", "-f", "pods.yaml"], "expected either -f with the pods that run, or --live"),
        (["--live", "--node", "node.yaml"], "--node describes a node for -f"),
        (["-f", "-", "--against", "-"], 'only one of the files can be standard input, "-"'),
    ],
)
def test_options_that_make_no_sense_together(options, message):
    done = run("--policy", "new.yaml", *options)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


def test_a_policy_is_required():
    done = run("--live")
    assert (done.exit_code, "--policy" in done.stderr) == (2, True)


def test_the_examples():
    files = ["--policy", EXAMPLES / "policy.yaml", "-f", EXAMPLES / "pods.yaml", "--node", EXAMPLES / "node.yaml"]
    assert run(*files).exit_code == 1
    found = json.loads(run(*files, "-o", "json").stdout)["differences"]
    assert "memoryQOS minLimitPercent" in {d["reason"] for d in found}


# -- the running daemon -----------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The state directory of a daemon with containers and without a policy."""
    node = busy_node(2)
    node.run_pass()
    directory = tmp_path / "state"
    directory.mkdir()
    server = ControlServer(directory, Controlled(node))
    yield directory
    server.close()


def test_the_daemon_is_asked_about_what_it_has(files, state):
    done = files.diff(HALVED, "--live", "--state-dir", state, "-o", "json")
    assert done.exit_code == 1
    assert moves(done)["shared", "main", "cpu.quota"] == (100_000, 50_000)
    table = files.diff(HALVED, "--live", "--state-dir", state)
    assert table.exit_code == 1
    assert table.stdout.splitlines()[-1].endswith("compared were 5 pods with 8 containers")
    assert files.diff("{}", "--live", "--state-dir", state).exit_code == 0


def test_the_daemon_reports_what_a_policy_comes_to_on_its_node(files, state):
    done = files.diff(reserving("99"), "--live", "--state-dir", state)
    assert "new.yaml: " in done.stderr
    assert "99 are not online" in done.stderr


def test_the_daemon_compares_with_another_policy_when_one_is_given(files, state):
    done = files.diff(THIRD, "--live", "--state-dir", state, "-o", "json", against=HALVED)
    assert moves(done)["shared", "main", "cpu.quota"] == (50_000, 33_334)


def test_policies_in_every_form_reach_the_daemon(files, state):
    mounted = files.directory / "mounted"
    (mounted / "..data").mkdir(parents=True)  # as kubelet's writer leaves it
    (mounted / "cpu-normalization-config").write_text("enable: true\ndefaultRatio: 2.0\n")
    manifest = files.write("cm.yaml", f"kind: ConfigMap\ndata:\n  {HALVED}".replace('{"', "'{\"").replace("}", "}'"))
    live = ["--live", "--state-dir", state, "-o", "json"]
    expected = moves(files.diff(HALVED, *live))
    assert moves(run("--policy", mounted, *live)) == expected
    assert moves(run("--policy", manifest, *live)) == expected
    assert moves(run("--policy", "-", *live, stdin=f"\ufeff{HALVED}")) == expected


def test_what_the_daemon_says_before_it_has_read_all_is_heard(state):
    with pytest.raises(control.ControlError, match="says: expected at most 8388608 bytes, got 94"):
        control.ask(state, "/v1/diff", {"policy": "#" * (9 << 20)})


def test_what_the_daemon_says_of_a_policy_that_only_it_refuses(files, state, monkeypatch):
    """A daemon of another version: the command takes what the daemon does not."""
    monkeypatch.setattr("koordnri.cli.diff._read", lambda path: _Given(path))
    done = files.diff(BAD, "--live", "--state-dir", state)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[:2] == MISTAKES
    assert done.stderr.splitlines()[2].endswith('koordnri.sock says: "policy" would be refused')


class _Given:
    """A policy as it was read by another version."""

    class document:  # noqa: N801  # an attribute, not a class for anybody
        warnings = ()

    def __init__(self, path: str) -> None:
        self.sent = Path(path).read_text()


def test_no_daemon_was_ever_there(files, tmp_path):
    for directory in tmp_path, tmp_path / "absent":
        done = files.diff(HALVED, "--live", "--state-dir", directory)
        assert done.exit_code == 2
        assert done.stderr == (
            f"Error: {directory}/koordnri.sock: there is no such socket; "
            "is `koordnri run` running on this node, and with this --state-dir?\n"
        )


def test_the_daemon_is_dead(files, tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "koordnri.sock"))
    done = files.diff(HALVED, "--live", "--state-dir", tmp_path)
    assert done.exit_code == 2
    assert "koordnri.sock: nobody listens there any more; is `koordnri run` running" in done.stderr


def test_not_everybody_may_ask(state):
    control.ask(state, "/v1/diff", {"policy": "{}"})  # imports what somebody else may not be allowed to read
    denied = pytest.raises(control.ControlError, match=r"koordnri\.sock: permission denied; run this as the user that")
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            with denied:
                control.ask(state, "/v1/diff", {"policy": "{}"})
        finally:
            os.seteuid(0)
    else:
        (state / "koordnri.sock").chmod(0)
        with denied:
            control.ask(state, "/v1/diff", {"policy": "{}"})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "Remote end closed connection without response"),
        (b"hello\r\n", "hello"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "IncompleteRead"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", "says: status 502"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nno\n", "says: no"),
    ],
)
def test_whatever_is_behind_the_socket_gives_a_message_and_no_traceback(files, tmp_path, answer, message):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "koordnri.sock"))
        listening.listen()
        listening.settimeout(10)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        done = files.diff(HALVED, "--live", "--state-dir", tmp_path)
        thread.join()
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_daemon_that_hangs_is_not_waited_for_for_ever(files, tmp_path, monkeypatch):
    monkeypatch.setattr(control, "ANSWER_TIMEOUT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "koordnri.sock"))
        listening.listen()
        done = files.diff(HALVED, "--live", "--state-dir", tmp_path)
    assert done.exit_code == 2
    assert "no answer within 0.05 s" in done.stderr
