"""`kubectl koordnri` against a kubectl that answers from a table and notes how it was called."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.kubectl import KubectlError, run
from tests.deploy.kustomize import build

ROOT = Path(__file__).resolve().parents[2]

PODS = {
    "worker-2": ("koordnri-system", "koordnri-b", "Running"),
    "worker-1": ("koordnri-system", "koordnri-a", "Running"),
}
PENDING = ("koordnri-system", "koordnri-c", "Pending")
FAKE = """#!/usr/bin/env python3
import json, re, sys
pods, log = json.loads({pods!r}), {log!r}
args = [a for a in sys.argv[1:] if not a.startswith(("--context", "--kubeconfig"))]
with open(log, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if args[:2] == ["get", "pod"]:
    if args[3] == "gone":
        sys.exit("Error from server (NotFound)")
    print("worker-2" if args[3] == "web-0" else "", end="")
elif args[:2] == ["get", "pods"]:
    node = re.search("spec.nodeName=([^,]*)", " ".join(a for a in args if a.startswith("--field")))
    for name, (namespace, pod, phase) in pods.items():
        if node is None or node[1] == name:
            print(namespace, pod, name, phase)
else:
    print(sys.stdin.read().upper(), end="")
    if "koordnri-lost" in args:
        sys.exit("error: dial tcp: connection refused")
    print("command terminated with exit code 7", file=sys.stderr)
    sys.exit(7 if "koordnri-a" in args else 1)
"""


class Kubectl:
    """A directory for the PATH, with a kubectl."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "log"
        self._directory = directory
        self.pods(PODS)

    def pods(self, pods: Any) -> None:
        program = self._directory / "kubectl"
        program.write_text(FAKE.format(pods=json.dumps(pods), log=str(self._log)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from koordnri.cli.kubectl import main; main()", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": f"{self._directory}:{os.environ['PATH']}"},
        )

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    return Kubectl(tmp_path)


def executed(pod: str, *command: str) -> list[str]:
    return ["exec", "-i", "--namespace=koordnri-system", pod, "--container=koordnri", "--", "koordnri", *command]


def test_the_command_runs_in_the_daemons_pod_with_its_input_output_and_exit_code(kubectl: Kubectl) -> None:
    done = kubectl.run("--node", "worker-1", "diff", "--live", "--policy", "-", "-o", "json", stdin="text")
    assert (done.returncode, done.stdout) == (7, "TEXT")
    assert kubectl.calls()[-1] == executed("koordnri-a", "diff", "--live", "--policy", "-", "-o", "json")


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "shop/web-0"),
        ("why", "shop/web-0", "cpu.quota"),
        ("release", "--pod", "shop/web-0"),
        ("release", "--pod=shop/web-0"),
    ],
)
def test_a_pods_node_is_found(kubectl: Kubectl, arguments: tuple[str, ...]) -> None:
    kubectl.run(*arguments)
    assert kubectl.calls()[0][:4] == ["get", "pod", "--namespace=shop", "web-0"]
    assert kubectl.calls()[-1] == executed("koordnri-b", *arguments)


def test_the_only_daemon_needs_no_name(kubectl: Kubectl) -> None:
    kubectl.pods({"worker-1": PODS["worker-1"]})
    kubectl.run("status")
    assert kubectl.calls()[-1] == executed("koordnri-a", "status")


def test_the_only_daemon_that_runs_needs_no_name(kubectl: Kubectl) -> None:
    kubectl.pods({"worker-1": PODS["worker-1"], "worker-3": PENDING})
    kubectl.run("status")
    assert kubectl.calls()[-1] == executed("koordnri-a", "status")


def test_a_daemon_that_does_not_run_is_named_with_its_pod(kubectl: Kubectl) -> None:
    kubectl.pods(PODS | {"worker-3": PENDING})
    done = kubectl.run("--node", "worker-3", "status")
    error = "Error: no koordnri daemon runs on node worker-3: pod koordnri-system/koordnri-c is Pending\n"
    assert (done.returncode, done.stderr) == (2, error)


def test_all_nodes_are_asked_in_the_order_of_their_names(kubectl: Kubectl) -> None:
    done = kubectl.run("--all-nodes", "diff", "--live", "--policy", "-", stdin="text")
    assert (done.stdout, done.stderr) == ("TEXTTEXT", "worker-1:\nworker-2:\n")
    command = ("diff", "--live", "--policy", "-")
    ran = [call for call in kubectl.calls() if call[0] == "exec"]
    assert sorted(ran) == [executed(pod, *command) for pod in ("koordnri-a", "koordnri-b")]


def test_the_highest_exit_code_of_all_nodes_counts(kubectl: Kubectl) -> None:
    assert kubectl.run("--all-nodes", "status", "--brief").returncode == 7
    kubectl.pods({"worker-2": PODS["worker-2"]})
    assert kubectl.run("--all-nodes", "status", "--brief").returncode == 1


def test_a_node_whose_daemon_does_not_run_is_not_left_out(kubectl: Kubectl) -> None:
    kubectl.pods({"worker-2": PODS["worker-2"], "worker-3": PENDING})
    done = kubectl.run("--all-nodes", "status", "--brief")
    assert done.returncode == 2
    assert "on node worker-3: pod koordnri-system/koordnri-c is Pending" in done.stderr


def test_a_node_that_kubectl_cannot_reach_counts_as_one_that_cannot_be_asked(kubectl: Kubectl) -> None:
    kubectl.pods({"worker-2": PODS["worker-2"], "worker-3": ("koordnri-system", "koordnri-lost", "Running")})
    done = kubectl.run("--all-nodes", "status", "--brief")
    assert done.returncode == 2
    assert done.stderr == "worker-2:\nworker-3:\nerror: dial tcp: connection refused\n"


def test_without_a_question_for_it_standard_input_is_not_waited_for(kubectl: Kubectl) -> None:
    assert kubectl.run("--all-nodes", "node", stdin="text").stdout == ""


def test_options_of_kubectl_are_passed_to_each_call(kubectl: Kubectl) -> None:
    kubectl.run("--context", "c", "--kubeconfig", "k", "-n", "qos", "--node", "worker-1", "status", "--brief")
    assert [call[:2] for call in kubectl.calls()] == [["--context=c", "--kubeconfig=k"]] * 2
    assert "--namespace=qos" in kubectl.calls()[0]
    assert kubectl.calls()[-1][-2:] == ["status", "--brief"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("status",), "expected --node NODE or --all-nodes; daemons run on worker-1, worker-2"),
        (("--node", "other", "status"), "no koordnri daemon runs on node other"),
        (("explain", "shop/pending"), "pod shop/pending is on no node yet"),
        (("explain", "shop/gone"), "kubectl get pod failed with 1"),
    ],
)
def test_what_cannot_be_found_is_named(kubectl: Kubectl, arguments: tuple[str, ...], error: str) -> None:
    done = kubectl.run(*arguments)
    assert done.returncode == 2
    assert error in done.stderr


def test_without_kubectl_that_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KubectlError, match=r"kubectl is not on the PATH"):
        run(["status"])


def test_the_file_alone_is_the_plugin(kubectl: Kubectl, tmp_path: Path) -> None:
    """As `install` copies it; no package of Python's is on its path."""
    plugin = tmp_path / "kubectl-koordnri"
    plugin.write_text((ROOT / "koordnri/cli/kubectl.py").read_text())
    command = [sys.executable, "-I", str(plugin), "--node", "worker-1", "status"]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, input="x", capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (7, "X")


def test_label_and_container_are_those_of_the_daemon_set() -> None:
    (daemon_set,) = [m for m in build(ROOT / "deploy") if m["kind"] == "DaemonSet"]
    template = daemon_set["spec"]["template"]
    source = (ROOT / "koordnri/cli/kubectl.py").read_text()
    (name,) = template["metadata"]["labels"].values()
    assert f'_LABEL = "app.kubernetes.io/name={name}"' in source
    assert f'_CONTAINER = "{template["spec"]["containers"][0]["name"]}"' in source
