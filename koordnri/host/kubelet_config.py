"""What kubelet's configuration says of CPUs and NUMA nodes: `reservedSystemCPUs`, and the Topology Manager's policy.

Only if kubelet's configuration is in the usual file (kubeadm, most distributions) and can be read; otherwise set them in the policy
(`koordnri-config.reservedCPUs`). An option on kubelet's command line, which overrides the file, is not seen.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from koordnri.host.files import HostFiles
from koordnri.model import CPUSet

_CONFIG = "var/lib/kubelet/config.yaml"
_MOST_BYTES = 1 << 20
_KEY = "reservedSystemCPUs"
_POLICIES = ("best-effort", "restricted", "single-numa-node")
_SCOPES = ("container", "pod")


class TopologyManager(NamedTuple):
    """kubelet's Topology Manager. The default is kubelet's, and stands for a configuration that cannot be read, too."""

    policy: str = "none"
    scope: str = "container"


def read_reserved_cpus(files: HostFiles) -> CPUSet:
    """Empty when nothing is reserved, or nothing is known."""
    value = _value(files.text(_CONFIG, _MOST_BYTES) or "", _KEY)
    try:
        return CPUSet.parse(value)
    except (ValueError, AttributeError, TypeError):
        files.bad(_CONFIG, str(value), f"{_KEY} with a list of CPUs such as 0-1")
        return CPUSet()


def read_topology_manager(files: HostFiles) -> TopologyManager:
    """How kubelet aligns a pod's resources with NUMA nodes. A value that kubelet does not know counts as its default."""
    text = files.text(_CONFIG, _MOST_BYTES) or ""
    policy, scope = _value(text, "topologyManagerPolicy"), _value(text, "topologyManagerScope")
    default = TopologyManager()
    return TopologyManager(
        policy if policy in _POLICIES else default.policy, scope if scope in _SCOPES else default.scope
    )


def _value(text: str, key: str) -> str:
    return _of_json(text, key) if text.startswith("{") else _of_yaml(text, key)


def _of_yaml(text: str, key: str) -> str:
    # A YAML parser would cost too much for a few keys. They are at the top level, and plain or quoted texts.
    found = re.search(rf"^[\"']?{key}[\"']?\s*:\s*[\"']?([^\"'#\r\n]*)[\"']?\s*(?:#.*)?$", text, re.MULTILINE)
    value = found.group(1).strip() if found else ""
    return "" if value in ("null", "~") else value


def _of_json(text: str, key: str) -> str:
    try:
        value: str = json.loads(text).get(key) or ""
    except (ValueError, RecursionError, AttributeError):
        return ""  # kubelet accepts it, so it is no JSON but YAML in flow style
    return value
