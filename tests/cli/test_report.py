"""`koordnri report`: from a running daemon, without one, and with secrets planted everywhere."""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from koordnri.cli import cli
from koordnri.cli.pod_log import MOST_BYTES, log_tail
from koordnri.cli.redaction import LEFT_OUT
from koordnri.cli.report import missing_lines
from koordnri.wire import api_pb2 as api
from tests.host.trees import HostTree, whole_host
from tests.observe.driven import Driven, driven

SECRET = "planted-Va1ue"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LOG = "var/log/pods/koordnri-system_koordnri-x1_uid/koordnri/0.log"


def run(root: Path, state_dir: Path, *args: str) -> Result:
    where = ("--host-root", str(root), "--nri-socket", str(root / "nri.sock"), "--state-dir", str(state_dir))
    return CliRunner().invoke(cli, ["report", *where, *args])


def parts(content: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {m.name.partition("/")[2]: tar.extractfile(m) for m in tar}
        return {name: file.read().decode() for name, file in members.items() if file is not None}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Driven:
    with driven(tmp_path_factory.mktemp("report")) as it:
        pod = api.PodSandbox(
            id="p", name="web", uid="u", namespace="shop", annotations={LAST_APPLIED: f'{{"token":"{SECRET}"}}'}
        )
        it.runtime.run_pod_sandbox(pod)
        it.runtime.create_container(
            "p", api.Container(id="c", name="main", pod_sandbox_id="p", env=[f"DB_PASSWORD={SECRET}"])
        )
        yield it


def bundle_of(running: Driven, root: Path) -> tuple[dict[str, str], Any]:
    result = run(root, running.policy.parent / "state", "-o", "-")
    assert result.exit_code == 0, result.stderr
    found = parts(result.stdout_bytes)
    return found, json.loads(found["report.json"])


def test_a_running_daemon_gives_all_that_it_knows(running: Driven, tmp_path: Path) -> None:
    whole_host(tmp_path).write(LOG, '2026-11-29T11:00:00Z stderr F {"event": "ready"}\n')
    found, manifest = bundle_of(running, tmp_path)
    assert {
        "versions.json",
        "doctor.json",
        "v1/status.json",
        "v1/node.json",
        "v1/policy.json",
        "v1/map.json",
    } <= found.keys()
    assert {"metrics.txt", "log.txt", "state-directory.json"} <= found.keys()
    assert json.loads(found["v1/node.json"])["name"] == "n"
    assert "koordnri_pods" in found["metrics.txt"]
    assert "ready" in found["log.txt"]
    assert manifest["parts"].keys() == found.keys() - {"report.json"}


def test_each_pod_is_explained(running: Driven, tmp_path: Path) -> None:
    found, _ = bundle_of(running, tmp_path)
    explained = json.loads(found["v1/explain/shop_web.json"])
    assert explained["containers"][0]["fields"]["cpu.quota"]["value"] == 12_000


def test_planted_secrets_are_nowhere(running: Driven, tmp_path: Path) -> None:
    lines = [
        json.dumps({"event": "decided", "fields": {"env[TOKEN]": SECRET}}),
        f"env[TOKEN]={SECRET}",
        f"Authorization: Bearer {SECRET}",
    ]
    HostTree(tmp_path).write(LOG, "\n".join(lines))
    found, _ = bundle_of(running, tmp_path)
    assert len(found["log.txt"].splitlines()) == len(lines)
    assert [name for name, text in found.items() if SECRET in text] == []


def test_without_a_daemon_there_is_what_the_host_shows(tmp_path: Path) -> None:
    root, state = tmp_path / "host", tmp_path / "state"
    HostTree(root).write("etc/os-release", 'NAME="x"\nPRETTY_NAME="Example Linux 1"\n').write("proc/self/x", "")
    state.mkdir()
    (state / "policy.json").write_text(
        json.dumps({"koordnri-config": f"vendors: {{x: {{envBesideCDI: {{A: {SECRET}}}}}}}\n# {SECRET}\n"})
    )
    out = tmp_path / "r.tar.gz"
    result = run(root, state, "-o", str(out))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}\n"
    assert out.stat().st_mode & 0o777 == 0o600
    found = parts(out.read_bytes())
    assert found.keys() == {
        "doctor.json",
        "last-good-policy.json",
        "node-without-daemon.json",
        "report.json",
        "state-directory.json",
        "versions.json",
    }
    assert json.loads(found["versions.json"])["host"] == "Example Linux 1"
    policy = json.loads(found["last-good-policy.json"])
    assert policy == {"koordnri-config": {"vendors": {"x": {"envBesideCDI": {"A": LEFT_OUT}}}}}
    assert json.loads(found["report.json"])["missing"].keys() == {"v1", "metrics.txt", "log.txt"}
    assert f"without v1: no daemon runs with the state directory {state}\n" in result.stderr


def test_what_is_missing_for_one_reason_is_one_line() -> None:
    missing = {"v1/why/a.json": "no history", "log.txt": "none found", "v1/why/b.json": "no history"}
    assert missing_lines(missing) == [
        "without v1/why/a.json and 1 more: no history",
        "without log.txt: none found",
    ]


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "r"
    out.write_text("mine")
    result = run(tmp_path, tmp_path, "-o", str(out))
    assert result.exit_code == 2
    assert f"{out}: File exists; name another file with -o, or - for standard output" in result.output
    assert out.read_text() == "mine"


def test_the_newest_log_is_taken_and_its_end_in_whole_lines(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).write(LOG, "old\n").write(LOG.replace("0.log", "1.log"), "line\n" * (MOST_BYTES // 4))
    os.utime(tmp_path / LOG, (1, 1))
    text, why = log_tail(tree.root, tmp_path / "none")
    assert why == ""
    assert len(text) <= MOST_BYTES
    assert set(text.splitlines()) == {"line"}
