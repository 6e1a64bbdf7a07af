"""What the chart runs at `helm uninstall` and `helm test`: on which nodes, with which rights, and what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from koordnri.observe.control import ControlServer

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]

KOORDNRI = Path(sys.executable).with_name("koordnri")
ON_DELETE = "--set=release.onDelete=true"
PRE_DELETE, TEST = "pre-delete", "test"
PLACES = (
    "--set=nodeSelector.pool=a,priorityClassName=high,imagePullSecrets[0].name=s",
    "--set=tolerations[0].key=k,tolerations[0].operator=Exists,affinity.nodeAffinity.x=y",
)


def rendered(helm: Helm, *arguments: str) -> list[Manifest]:
    done = helm("template", *arguments)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def hooks(helm: Helm, event: str, *arguments: str) -> dict[str, Manifest]:
    """Kind → object of the hook."""

    def of(manifest: Manifest) -> str:
        found: str = manifest["metadata"].get("annotations", {}).get("helm.sh/hook", "")
        return found

    return {m["kind"]: m for m in rendered(helm, *arguments) if of(m) == event}


def daemon(helm: Helm, *arguments: str) -> Manifest:
    (found,) = [
        m for m in rendered(helm, *arguments) if m["kind"] == "DaemonSet" and m["metadata"]["name"] == "koordnri"
    ]
    return found


def pod_of(hook: Manifest) -> Manifest:
    pod: Manifest = hook if hook["kind"] == "Pod" else hook["spec"]["template"]
    return pod


@pytest.fixture(params=[(PRE_DELETE, "DaemonSet"), (TEST, "Pod")], ids=["release", "test"])
def asking(helm: Helm, request: pytest.FixtureRequest) -> Manifest:
    """A pod that asks the daemon of its node."""
    event, kind = request.param
    return pod_of(hooks(helm, event, ON_DELETE)[kind])


def test_nothing_is_released_unless_asked_for(helm: Helm) -> None:
    assert hooks(helm, PRE_DELETE) == {}


def test_the_waiting_starts_after_what_it_waits_for_and_that_after_the_rights(helm: Helm) -> None:
    weights = {
        kind: int(m["metadata"]["annotations"]["helm.sh/hook-weight"])
        for kind, m in hooks(helm, PRE_DELETE, ON_DELETE).items()
    }
    assert weights == {"ServiceAccount": 0, "Role": 0, "RoleBinding": 0, "DaemonSet": 1, "Job": 2}


def test_the_one_right_of_the_hook_is_to_read_its_own_daemon_set(helm: Helm) -> None:
    found = hooks(helm, PRE_DELETE, ON_DELETE)
    name = found["DaemonSet"]["metadata"]["name"]
    assert found["Role"]["rules"] == [
        {"apiGroups": ["apps"], "resources": ["daemonsets"], "resourceNames": [name], "verbs": ["get"]}
    ]
    assert found["RoleBinding"]["roleRef"]["name"] == found["Role"]["metadata"]["name"]
    (subject,) = found["RoleBinding"]["subjects"]
    assert (subject["name"], subject["namespace"]) == (found["ServiceAccount"]["metadata"]["name"], "koordnri-system")
    job = pod_of(found["Job"])["spec"]
    assert job["serviceAccountName"] == subject["name"]
    assert job["containers"][0]["command"][3].endswith(f"/namespaces/koordnri-system/daemonsets/{name}")


def test_a_release_reaches_the_nodes_of_the_daemon(helm: Helm) -> None:
    pod, of_daemon = (
        hooks(helm, PRE_DELETE, ON_DELETE, *PLACES)["DaemonSet"]["spec"]["template"]["spec"],
        daemon(helm, *PLACES)["spec"]["template"]["spec"],
    )
    same = ("nodeSelector", "affinity", "tolerations", "priorityClassName", "imagePullSecrets")
    assert {key: pod[key] for key in same} == {key: of_daemon[key] for key in same}


def test_helm_test_runs_where_a_daemon_is(helm: Helm) -> None:
    (term,) = hooks(helm, TEST)["Pod"]["spec"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"] == daemon(helm)["spec"]["selector"]


def test_who_asks_has_no_capability_no_token_and_of_the_host_the_state_directory(asking: Manifest) -> None:
    spec = asking["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert [v["hostPath"]["path"] for v in spec["volumes"]] == ["/var/lib/koordnri"]
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        security = container["securityContext"]
        assert (security["capabilities"], security["readOnlyRootFilesystem"]) == ({"drop": ["ALL"]}, True)
        assert [m.get("readOnly") for m in container.get("volumeMounts", ())] in ([], [True])
    assert "hostPID" not in spec
    assert "hostNetwork" not in spec


@pytest.mark.parametrize("kind", ["DaemonSet", "Job"])
def test_the_daemons_selector_and_service_pass_over_the_pods_of_hooks(helm: Helm, kind: str) -> None:
    """A DaemonSet adopts any pod with its labels, and the Service would send scrapers there."""
    selector = daemon(helm)["spec"]["selector"]["matchLabels"].items()
    for hook in (hooks(helm, PRE_DELETE, ON_DELETE)[kind], hooks(helm, TEST)["Pod"]):
        assert not selector <= pod_of(hook)["metadata"]["labels"].items()


@pytest.mark.parametrize(("code", "done"), [(0, 0), (1, 0), (2, 1)])
def test_helm_test_fails_of_a_daemon_that_is_not_ready_and_not_of_a_warning(
    helm: Helm, tmp_path: Path, code: int, done: int
) -> None:
    (container,) = hooks(helm, TEST)["Pod"]["spec"]["containers"]
    program = tmp_path / "koordnri"
    program.write_text(f'#!/bin/sh\n[ "$*" = "status --wait" ] || exit 9\nexit {code}\n')
    program.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    assert subprocess.run(container["command"], env={"PATH": path}, check=False).returncode == done


class Daemon:
    """Answers at the control socket."""

    def policy_state(self) -> Mapping[str, Any]:
        return {}

    def compare(self, new: Any, against: Any) -> Any:
        raise NotImplementedError

    def release(self, pod: str | None) -> Sequence[Any]:
        assert pod is None
        return []


def test_the_daemon_releases_for_a_pod_that_has_its_state_directory_read_only(helm: Helm, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: mounts cannot be made")
    (container,) = hooks(helm, PRE_DELETE, ON_DELETE)["DaemonSet"]["spec"]["template"]["spec"]["initContainers"]
    assert container["command"][0] == "koordnri"
    on_host, in_pod = tmp_path / "host", tmp_path / "pod"
    on_host.mkdir()
    in_pod.mkdir()
    server = ControlServer(on_host, Daemon())
    try:
        script = (
            f"set -e; mount --bind {on_host} {in_pod}; mount -o remount,bind,ro {in_pod}; ! touch {in_pod}/x 2>/dev/null;"
            " exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs"
            f" {KOORDNRI} {' '.join(container['command'][1:])} --state-dir={in_pod}"
        )
        unshare = ["unshare", "--mount", "--propagation=private", "sh", "-c", script]
        done = subprocess.run(unshare, capture_output=True, text=True)
    finally:
        server.close()
    assert done.returncode == 0, done.stderr
    assert "koordnri leaves all pods of this node" in done.stdout


@pytest.fixture
def notes(helm: Helm, root: Path, tmp_path: Path) -> Callable[..., str]:
    """What helm prints after an installation. `helm template` leaves it out, so that a copy of the chart has it in a ConfigMap."""
    chart = tmp_path / "koordnri"
    shutil.copytree(root / "helm/koordnri", chart)
    text = (chart / "templates/NOTES.txt").read_text()
    (chart / "templates/_notes.tpl").write_text('{{ define "notes" }}' + text + "{{ end }}")
    (chart / "templates/notes.yaml").write_text('kind: Notes\nmetadata: {}\ntext: {{ include "notes" . | toJson }}\n')

    def say(*arguments: str) -> str:
        done = helm("template", *arguments, folder=chart)
        assert done.returncode == 0, done.stderr
        (found,) = [m["text"] for m in yaml.safe_load_all(done.stdout) if m and m["kind"] == "Notes"]
        return str(found)

    return say


def test_the_notes_say_what_to_do_first_and_how_to_remove(notes: Callable[..., str]) -> None:
    by_hand, by_hook = notes(), notes(ON_DELETE)
    assert "koordnri release --all" in by_hand
    assert "koordnri release --all" not in by_hook
    assert "logs job/koordnri-release" in by_hook
    verify = "kubectl koordnri --all-nodes verify"
    assert verify in notes("--set", "apiAccess.verify=true")
    assert verify not in by_hand
    for text in (by_hand, by_hook):
        assert "helm uninstall koordnri --namespace koordnri-system" in text
        assert "helm test koordnri --namespace koordnri-system" in text
        assert text.index("kubectl label namespace koordnri-system") < text.index("helm test")
