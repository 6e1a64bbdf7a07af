"""CPUs that kubelet's configuration reserves for the system: `reservedSystemCPUs`.

Only if kubelet's configuration is in the usual file (kubeadm, most distributions) and can be read; otherwise set them in the policy
(`koordnri-config.reservedCPUs`). An option on kubelet's command line, which overrides the file, is not seen.
"""

from __future__ import annotations

import json
import re

from koordnri.host.files import HostFiles
from koordnri.model import CPUSet

_CONFIG = "var/lib/kubelet/config.yaml"
_MOST_BYTES = 1 << 20
_KEY = "reservedSystemCPUs"
# A YAML parser would cost too much for one key. It is at the top level, and a plain or quoted text.
_LINE = re.compile(rf"^[\"']?{_KEY}[\"']?\s*:\s*[\"']?([^\"'#\r\n]*)[\"']?\s*(?:#.*)?$", re.MULTILINE)


def read_reserved_cpus(files: HostFiles) -> CPUSet:
    """Empty when nothing is reserved, or nothing is known."""
    text = files.text(_CONFIG, _MOST_BYTES)
    if text is None:
        return CPUSet()
    value = _of_json(text) if text.startswith("{") else _of_yaml(text)
    try:
        return CPUSet.parse(value)
    except (ValueError, AttributeError, TypeError):
        files.bad(_CONFIG, str(value), f"{_KEY} with a list of CPUs such as 0-1")
        return CPUSet()


def _of_yaml(text: str) -> str:
    found = _LINE.search(text)
    value = found.group(1).strip() if found else ""
    return "" if value in ("null", "~") else value


def _of_json(text: str) -> str:
    try:
        value: str = json.loads(text).get(_KEY) or ""
    except (ValueError, RecursionError, AttributeError):
        return ""  # kubelet accepts it, so it is no JSON but YAML in flow style
    return value
