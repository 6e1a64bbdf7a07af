"""Inputs from the field that went wrong once: `koordnri explain` and its like run on the files of data/, as they came (only names
were changed). One test per case, in the file of whoever owns the kind of mistake; each asserts what is right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from koordnri.cli.explain import explain

DATA = Path(__file__).parent / "data"


class Explained:
    """What `koordnri explain -o json` printed of the pods of a case."""

    def __init__(self, done: Result) -> None:
        assert done.exit_code == 0, done.stderr
        shapes = json.loads(done.stdout)
        self.pods: dict[str, dict[str, Any]] = {
            shape["pod"]["name"]: shape for shape in (shapes if isinstance(shapes, list) else [shapes])
        }
        """name of the pod → its shape"""
        self.stderr = done.stderr

    def pod_field(self, pod: str, field: str) -> Any:
        """Value of a field of the pod's own cgroup; None when it is not set."""
        return _value(self.pods[pod]["pod"]["fields"], field)

    def container_field(self, pod: str, container: str, field: str) -> Any:
        """Likewise of a container."""
        return _value(self._container(pod, container)["fields"], field)

    def reason(self, pod: str, container: str, field: str) -> str:
        """Why a container's field is as it is, or why it was left alone; "" when the decision says nothing about it."""
        shape = self._container(pod, container)
        found = shape["fields"].get(field)
        return shape["skipped"].get(field, "") if found is None else found["reason"]

    def errors(self, pod: str) -> list[str]:
        """The mistakes that its owner is informed of."""
        return [error["message"] for error in self.pods[pod]["errors"]]

    def _container(self, pod: str, container: str) -> dict[str, Any]:
        return next(c for c in self.pods[pod]["containers"] if c["name"] == container)


def explained(
    pods: str | Path, *, node: str | Path | None = None, policy: str | None = None, command: Any = explain
) -> Explained:
    """Run `explain`, or `simulate`, whose shape is the same, on a case; names are of files in data/."""
    return Explained(run(command, "-f", path(pods), *files(node, policy), "-o", "json"))


def run(command: Any, *arguments: str) -> Result:
    """Any command of koordnri's, in this process."""
    return CliRunner().invoke(command, list(arguments))


def files(node: str | Path | None = None, policy: str | None = None) -> list[str]:
    """`--node` and `--policy`, where there are any."""
    options = [] if node is None else ["--node", path(node)]
    return options if policy is None else [*options, "--policy", path(policy)]


def path(name: str | Path) -> str:
    """Of a file in data/; a whole path is taken as it is."""
    return str(DATA / name)


def _value(fields: dict[str, Any], field: str) -> Any:
    return fields[field]["value"] if field in fields else None
