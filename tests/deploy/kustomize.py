"""What `kubectl kustomize` makes of our manifests, as far as they use it; anything else is refused, not guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

KNOWN = {"apiVersion", "kind", "namespace", "resources", "components", "images", "patches", "configMapGenerator"}
CLUSTER_WIDE = {"Namespace", "ClusterRole", "ClusterRoleBinding"}


def build(folder: Path) -> list[Manifest]:
    """The objects of a folder with a kustomization.yaml, in the order of its resources."""
    return _apply(folder, [])


def with_component(folder: Path, component: Path) -> list[Manifest]:
    """The same after `kustomize edit add component` in that folder."""
    return _apply(component, build(folder))


def _apply(folder: Path, objects: list[Manifest]) -> list[Manifest]:
    content = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert content.keys() <= KNOWN, f"{folder}: teach tests/deploy/kustomize.py about {content.keys() - KNOWN}"
    for name in content.get("resources", ()):
        path = folder / name
        objects += build(path) if path.is_dir() else [yaml.safe_load(path.read_text())]
    objects += [_generated(folder, wanted) for wanted in content.get("configMapGenerator", ())]
    for name in content.get("components", ()):
        objects = _apply(folder / name, objects)
    for patch in content.get("patches", ()):
        objects = _patched(objects, patch)
    for manifest in objects:
        if "namespace" in content and manifest["kind"] not in CLUSTER_WIDE:
            manifest["metadata"]["namespace"] = content["namespace"]
        for image in content.get("images", ()):
            _set_image(manifest, image)
    return objects


def _generated(folder: Path, wanted: Manifest) -> Manifest:
    assert wanted.keys() == {"name", "namespace", "files", "options"}, f"{folder}: teach tests/deploy/kustomize.py"
    options = wanted["options"]
    assert options.keys() == {"disableNameSuffixHash", "labels"}
    assert options["disableNameSuffixHash"] is True
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": wanted["name"], "namespace": wanted["namespace"], "labels": dict(options["labels"])},
        "data": {name: (folder / name).read_text() for name in wanted["files"]},
    }


def _patched(objects: list[Manifest], patch: Manifest) -> list[Manifest]:
    content = yaml.safe_load(patch["patch"])
    target = patch.get("target") or {"kind": content["kind"], **content["metadata"]}
    found = [m for m in objects if _matches(m, target)]
    assert found, f"no object for the patch of {target}"
    if isinstance(content, dict):
        assert content.keys() - {"apiVersion", "kind", "metadata"} == {"$patch"}, f"only deletions are known: {content}"
        assert content["$patch"] == "delete"
        return [m for m in objects if m not in found]
    for manifest in found:
        for operation in content:
            _operate(manifest, **operation)
    return objects


def _matches(manifest: Manifest, target: Manifest) -> bool:
    assert target.keys() <= {"kind", "name", "namespace"}
    seen = {**manifest["metadata"], "kind": manifest["kind"]}
    return all(seen.get(key) == value for key, value in target.items())


def _operate(manifest: Manifest, op: str, path: str, value: Any = None) -> None:
    """One operation of RFC 6902. Raises KeyError or IndexError where there is no such place."""
    *steps, last = [int(step) if step.isdecimal() else step for step in path.split("/")[1:]]
    place: Any = manifest
    for step in steps:
        place = place[step]
    if op == "add":
        assert last == "-" or (isinstance(place, dict) and last not in place), (
            f"{path}: only what is not there is added"
        )
        place.append(value) if last == "-" else place.update({last: value})
        return
    now = place[last]
    if op == "test":
        assert now == value, f"{path} is {now}, not {value}"
    elif op == "replace":
        place[last] = value
    else:
        assert op == "remove", f"teach tests/deploy/kustomize.py about {op}"
        del place[last]


def _set_image(manifest: Manifest, image: Manifest) -> None:
    if manifest["kind"] == "DaemonSet":
        spec = manifest["spec"]["template"]["spec"]
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            if container["image"].partition(":")[0] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
