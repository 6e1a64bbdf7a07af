"""The policy document: from the text of a ConfigMap to checked sections. All mistakes are found in one reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from koordnri.policy.burst import CPUBurst
from koordnri.policy.effects import remarks, without_effect
from koordnri.policy.errors import Mistake, PolicyError, bounded, shown
from koordnri.policy.host_application import HostApplications
from koordnri.policy.koordnri_config import KoordnriConfig
from koordnri.policy.network_qos import check_bandwidth
from koordnri.policy.normalization import CPUNormalization
from koordnri.policy.qos import ResourceQOS
from koordnri.policy.report import Report, nearest, report_repeated
from koordnri.policy.section import Section, Shape, read_section
from koordnri.policy.system import SystemStrategy
from koordnri.policy.text import Allowance, TextError, decoded, describe_broken_json, parse
from koordnri.policy.threshold import ResourceThreshold

SHAPES: Mapping[str, Shape] = {
    "resource-threshold-config": Shape(ResourceThreshold()),
    "resource-qos-config": Shape(ResourceQOS()),
    "cpu-burst-config": Shape(CPUBurst()),
    "system-config": Shape(SystemStrategy()),
    "host-application-config": Shape(HostApplications(), "nodeConfigs", has_cluster_key=False),
    "cpu-normalization-config": Shape(CPUNormalization(), "nodeConfigs", has_cluster_key=False),
    "koordnri-config": Shape(KoordnriConfig(), koordinators=False),
}
"""The keys that koordnri acts on."""

IGNORED: Mapping[str, str] = {
    "colocation-config": "belongs to Koordinator's manager; koordnri does not act on it",
    "resource-amplification-config": "belongs to Koordinator's manager; koordnri does not act on it",
}

_YAML = "YAML, and no JSON: koord-manager refuses that, where it reads this, and keeps what it had"
_QOS, _SYSTEM = "resource-qos-config", "system-config"
_REVISION_DIGITS = 12


class PolicyDocument(msgspec.Struct, frozen=True):
    """A checked policy for all nodes; `resolve` turns it into a node's policy."""

    source: str
    """Origin, for logs."""
    revision: str
    """Hash of the content; formatting, comments and keys that koordnri ignores do not change it."""
    sections: dict[str, Section[Any]]
    """All keys of SHAPES."""
    warnings: tuple[Mistake, ...] = ()
    """Parts that are ignored or have no effect, and why."""
    content: bytes = b"{}"
    """The keys of SHAPES with their values, as JSON: what the revision is a hash of."""

    @property
    def remarks(self) -> tuple[Mistake, ...]:
        """Parts that koordnri does differently from Koordinator; they are not wrong."""
        values = [(key, one) for key, s in self.sections.items() for one in (s.cluster, *(n.value for n in s.nodes))]
        found = [Mistake(f"{key}.{path}", message) for key, value in values for path, message in remarks(value)]
        return tuple(dict.fromkeys(found))


def load_policy(text: str | bytes, source: str) -> PolicyDocument:
    """The document in a text: a ConfigMap manifest or just its data, in YAML or JSON. Raises PolicyError with all mistakes."""
    try:
        value = parse(decoded(text) if isinstance(text, bytes) else text)
    except TextError as error:
        raise PolicyError([Mistake("", str(error))]) from None
    return load_data(_data_of(value), source)


def _data_of(value: Any) -> Mapping[str, Any]:
    wanted = "a ConfigMap, or a mapping of its keys such as resource-qos-config"
    if not isinstance(value, dict):
        got = "nothing" if value is None else shown(value)
        raise PolicyError([Mistake("", f"expected {wanted}, got {got}")])
    if not {"kind", "apiVersion", "data", "binaryData"} & value.keys():
        return value
    report = Report()
    report_repeated(value, (), report)
    if value.get("kind", "ConfigMap") != "ConfigMap":
        report.wrong(((), "kind"), f"expected ConfigMap, got {shown(value['kind'])}")
    data = value.get("data")
    if data is not None and not isinstance(data, dict):
        report.wrong(((), "data"), f"expected a mapping, got {shown(data)}")
    binary = value.get("binaryData")
    for key in SHAPES:
        # Otherwise these keys would be ignored, and the defaults would replace a good policy.
        if key in value:
            report.wrong(((), key), "expected below data, as this is a ConfigMap")
        if isinstance(binary, dict) and key in binary:
            report.wrong((((), "binaryData"), key), "expected text, below data; kubectl puts here what is not UTF-8")
    if report.mistakes:
        raise PolicyError(report.mistakes)
    return data or {}


def load_data(data: Mapping[str, Any], source: str) -> PolicyDocument:
    """The document in the `data` of a ConfigMap; each value a JSON or YAML text (bytes too) or already a mapping. Raises PolicyError."""
    report = Report()
    mistakes, warnings = report.mistakes, report.warnings
    if isinstance(data, dict):
        report_repeated(data, (), report)
    sections: dict[str, Section[Any]] = {key: Section(shape.defaults) for key, shape in SHAPES.items()}
    given: dict[str, Any] = {}
    allowance = Allowance()
    for key, value in data.items():
        if key in SHAPES:
            try:
                text = decoded(value) if isinstance(value, bytes) else value
                raw = parse(text, allowance) if isinstance(text, str) else text
            except TextError as error:
                report.wrong(((), key), str(error))
                continue
            if raw is not None:
                given[key] = raw
                if SHAPES[key].koordinators and isinstance(text, str) and describe_broken_json(text):
                    report.warn(((), key), _YAML)
                sections[key] = read_section(key, SHAPES[key], raw, mistakes, warnings, without_effect)
        elif key in IGNORED:
            report.warn(((), key), f"ignored, it {IGNORED[key]}")
        else:
            near = nearest(key, SHAPES) if report.hints_wanted else None
            report.warn(((), key), "unknown key, ignored" + (f"; did you mean {near}?" if near else ""))
    if not mistakes:
        _check_bandwidth(sections[_QOS], sections[_SYSTEM], report)
    if mistakes:
        raise PolicyError(mistakes)
    # Sorted and in ASCII, so that equal content hashes equally whatever its formatting.
    content = json.dumps(given, sort_keys=True, default=str).encode("ascii")
    revision = hashlib.sha256(content).hexdigest()[:_REVISION_DIGITS]
    return PolicyDocument(source, revision, sections, bounded(warnings, "warnings"), content)


def _check_bandwidth(qos: Section[ResourceQOS], system: Section[SystemStrategy], report: Report) -> None:
    """Refuse requests above the bandwidth if a strategy sets both, as Koordinator's webhook does.

    If different strategies set them, `resolve` checks the combination for a node.
    """
    refused = [*check_bandwidth(qos.cluster.networks, system.cluster.total_network_bandwidth)]
    for path, message in refused:
        report.wrong(((), f"{_QOS}.{path}"), message)
    for index, strategy in enumerate(qos.nodes):
        if refused and strategy.value.networks == qos.cluster.networks:
            continue
        total = next(
            (other.value.total_network_bandwidth for other in system.nodes if other.selector == strategy.selector),
            0 if system.nodes else system.cluster.total_network_bandwidth,
        )
        for path, message in check_bandwidth(strategy.value.networks, total):
            report.wrong((((((), _QOS), "nodeStrategies"), index), path), message)
