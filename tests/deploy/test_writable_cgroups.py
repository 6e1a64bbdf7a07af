"""The chart's writableCgroups: all cgroups are mounted read-only, and on them those that the daemon may write."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
PATHS = ("/sys/fs/cgroup/cpu,cpuacct/kubepods", "/sys/fs/cgroup/cpuset/kubepods")
VALUE = f'--set-json=writableCgroups=["{PATHS[0]}", "{PATHS[1]}"]'


def pod_spec(helm: Helm, *arguments: str) -> Manifest:
    done = helm("template", "--show-only=templates/daemonset.yaml", *arguments)
    assert done.returncode == 0, done.stderr
    spec: Manifest = yaml.safe_load(done.stdout)["spec"]["template"]["spec"]
    return spec


def of_cgroups(spec: Manifest) -> list[Manifest]:
    """The mounts of cgroups, in their order."""
    return [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"].startswith("cgroup")]


def test_named_cgroups_are_mounted_writable_on_all_that_are_not(helm: Helm) -> None:
    spec = pod_spec(helm, VALUE)
    assert of_cgroups(spec) == [
        {
            "name": "cgroup",
            "mountPath": "/host/sys/fs/cgroup",
            "readOnly": True,
            # Else the hierarchies of v1, which are mounts below it, would stay writable.
            "recursiveReadOnly": "IfPossible",
        },
        {"name": "cgroup-0", "mountPath": f"/host{PATHS[0]}"},
        {"name": "cgroup-1", "mountPath": f"/host{PATHS[1]}"},
    ]
    volumes = {v["name"]: v.get("hostPath") for v in spec["volumes"]}
    # Never a type that makes it: kubelet's cgroup driver decides where it is.
    assert [volumes[f"cgroup-{n}"] for n in (0, 1)] == [{"path": path, "type": "Directory"} for path in PATHS]


def test_older_clusters_do_not_get_a_field_that_they_do_not_know(helm: Helm) -> None:
    whole, *_ = of_cgroups(pod_spec(helm, VALUE, "--kube-version=1.30.0"))
    assert whole == {"name": "cgroup", "mountPath": "/host/sys/fs/cgroup", "readOnly": True}


def test_without_any_all_cgroups_are_writable(helm: Helm) -> None:
    assert of_cgroups(pod_spec(helm)) == [{"name": "cgroup", "mountPath": "/host/sys/fs/cgroup"}]


@pytest.mark.parametrize("path", ["/sys/fs/cgroup", "/sys/fs/cgroup/", "/sys/fs/cgroup/kubepods/", "/etc"])
def test_what_is_no_cgroup_below_the_root_is_refused(helm: Helm, path: str) -> None:
    done = helm("template", f"--set-json=writableCgroups=[{path!r}]".replace("'", '"'))
    assert done.returncode != 0
    assert "writableCgroups" in done.stderr
