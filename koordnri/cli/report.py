"""`koordnri report`: everything that a bug report needs, in one file."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import yaml

from koordnri.cli.bundle import Bundle, private_file
from koordnri.cli.control import ControlError, question
from koordnri.cli.doctor import diagnose_options, look
from koordnri.cli.inputs import BAD_INPUT
from koordnri.cli.options import state_dir_option
from koordnri.cli.pod_log import log_tail
from koordnri.cli.redaction import redacted, redacted_log, redacted_text

QUESTIONS = ("status", "node", "policy", "policy-document", "map", "holdings", "containers", "shares", "pods")
"""Part `v1/NAME.json` each, as the daemon answers."""
OF_PODS = ("explain", "why")
"""Part `v1/NAME/NAMESPACE_POD.json` each"""
MOST_PODS = 500
PODS_PATIENCE_S = 60.0
"""for the questions about all pods together"""
_LAST_GOOD = "policy.json"
"""As in koordnri.state.files"""
_NOTICE = (
    "Values of environment variables, annotations other than Koordinator's and koordnri's, and what looks like a secret are left out. "
    "Names of nodes, namespaces, pods, containers and disks are in here."
)


class ReportError(click.ClickException):
    """The file cannot be written."""

    exit_code = BAD_INPUT


@click.command()
@diagnose_options
@state_dir_option
@click.option(
    "-o",
    "--output",
    metavar="FILE.tar.gz",
    help='Where to write; "-" for standard output.  [default: koordnri-report-NODE-TIME.tar.gz]',
)
def report(host_root: Path, nri_socket: str, plugin_name: str, state_dir: Path, output: str | None) -> None:
    """Write a file for a bug report: versions, node, policy, decisions, metrics, status, findings of `doctor`, and the log's end.

    Values of environment variables, annotations of others and what looks like a secret are left out. The file has 32 MiB at most before
    it is compressed, and only its owner can read it. Without a running daemon it has what is there. What is missing, and why, is printed
    and stands in its report.json.

    Exits with 2 when the file cannot be written, for example because it exists.
    """
    facts, findings = look(host_root, nri_socket, plugin_name, state_dir)
    made = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = f"koordnri-report-{_plain(os.environ.get('NODE_NAME') or platform.node() or 'node')}-{made}"
    bundle = Bundle(name, {"made": made, "notice": _NOTICE})
    bundle.add_json("versions.json", versions(host_root))
    bundle.add_json("doctor.json", redacted({"findings": [finding.as_json() for finding in findings]}))
    if facts.daemon.running:
        _add_answers(bundle, state_dir)
    else:
        from koordnri.answers.node import described

        bundle.missing["v1"] = facts.daemon.problem or f"no daemon runs with the state directory {state_dir}"
        bundle.add_json("node-without-daemon.json", redacted(described(facts.node)))
        _add_last_good_policy(bundle, state_dir / _LAST_GOOD)
    _add_files(bundle, host_root, state_dir)
    try:
        if output == "-":
            bundle.write(sys.stdout.buffer)
        else:
            path = Path(output or f"{name}.tar.gz")
            with private_file(path) as file:
                bundle.write(file)
    except OSError as error:
        raise ReportError(
            f"{output or name}: {error.strerror}; name another file with -o, or - for standard output"
        ) from None
    for line in missing_lines(bundle.missing):
        print(line, file=sys.stderr)
    if output != "-":
        print(path)


def part_of_pod(name: str, pod: str) -> str:
    """The part with the answer to question `name` about the pod NAMESPACE/NAME."""
    return f"v1/{name}/{_plain(pod.replace('/', '_'))}.json"


def missing_lines(missing: Mapping[str, str]) -> list[str]:
    """What is missing and why; parts with the same reason, such as one for each pod, in one line."""
    parts: dict[str, list[str]] = {}
    for part, why in missing.items():
        parts.setdefault(why, []).append(part)
    return [
        f"without {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {why}"
        for why, names in parts.items()
    ]


def versions(host_root: Path) -> Mapping[str, Any]:
    """Of koordnri and what it runs on."""
    packages = [
        re.split(r"[^\w.-]", need, maxsplit=1)[0]
        for need in metadata.requires("koordnri") or ()
        if "extra ==" not in need
    ]
    kernel = os.uname()
    return {
        "koordnri": metadata.version("koordnri"),
        "python": sys.version,
        "packages": {package: metadata.version(package) for package in sorted(packages)},
        "kernel": {"release": kernel.release, "version": kernel.version, "machine": kernel.machine},
        "host": _os_release(host_root),
    }


def _add_answers(bundle: Bundle, state_dir: Path) -> None:
    answers = {name: _add_answer(bundle, f"v1/{name}.json", partial(question, state_dir, name)) for name in QUESTIONS}
    pods = (answers["pods"] or {}).get("pods", [])
    end_s = time.monotonic() + PODS_PATIENCE_S
    for place, pod in enumerate(pods):
        if place == MOST_PODS or time.monotonic() > end_s:
            bundle.missing["v1/explain, v1/why"] = (
                f"of {len(pods) - place} of {len(pods)} pods, which would take too long"
            )
            return
        for name in OF_PODS:
            _add_answer(bundle, part_of_pod(name, pod), partial(question, state_dir, name, pod=pod))


def _add_answer(bundle: Bundle, part: str, ask: Callable[[], Any]) -> Any:
    """Add the answer. Returns it, None when the daemon does not give it."""
    try:
        answer = ask()
    except ControlError as error:
        bundle.missing[part] = redacted_text(error.message)
        return None
    bundle.add_json(part, redacted(answer))
    return answer


def _add_last_good_policy(bundle: Bundle, path: Path) -> None:
    """The policy's texts, read as YAML, since what is to be left out is found by its key."""
    try:
        texts = json.loads(path.read_bytes())
        bundle.add_json("last-good-policy.json", redacted({key: yaml.safe_load(text) for key, text in texts.items()}))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        bundle.missing["last-good-policy.json"] = redacted_text(str(error))


def _add_files(bundle: Bundle, host_root: Path, state_dir: Path) -> None:
    try:
        bundle.add("metrics.txt", redacted_text(question(state_dir, "metrics")))
    except ControlError as error:
        bundle.missing["metrics.txt"] = redacted_text(error.message)
    log, why = log_tail(host_root, state_dir)
    if why:
        bundle.missing["log.txt"] = why
    else:
        bundle.add("log.txt", redacted_log(log))
    try:
        bundle.add_json(
            "state-directory.json", {path.name: path.lstat().st_size for path in sorted(state_dir.iterdir())}
        )
    except OSError as error:
        bundle.missing["state-directory.json"] = f"{state_dir}: {error.strerror}"


def _os_release(host_root: Path) -> str:
    """The distribution's name; "" when it cannot be read from here."""
    try:
        text = (host_root / "etc/os-release").read_text(errors="replace")[:4096]
    except OSError:
        return ""
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
    return found[1] if found else ""


def _plain(name: str) -> str:
    """The name as part of a file name."""
    return re.sub(r"[^\w.-]", "-", name)[:200]
